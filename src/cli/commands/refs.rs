//! `pagekeep tag`, `pagekeep branch`, `pagekeep reflog`, `pagekeep undo`.

use serde_json::{Value, json};

use super::remotes::rows_or_nothing;
use crate::base::Name;
use crate::cli::args::{Branch, Tag};
use crate::cli::output::{Output, moment};
use crate::cli::session::Session;
use crate::format::refs::{RefKind, RefTarget};
use crate::ops::{self, History, OpError, RefReport, Refs, Spec, TagOptions, title};

pub(crate) fn tag(session: &Session, arguments: Tag, from: Option<&str>) -> Result<Output, OpError> {
    let Tag { name, spec, note, delete, force, .. } = arguments;
    let Some(name) = name else { return tags(session, from) };
    is_set_here("tag", &name, from)?;
    let database = session.database_of(&named(session, spec.as_deref())?)?;
    if delete {
        let report = ops::delete_tag(&session.context, &database, &name)?;
        return Ok(moved(&database.name, &report));
    }
    let (history, spec) = meant(session, spec.as_deref(), None)?;
    let options = TagOptions { note, force };
    let report = ops::set_tag(&session.context, &database, &history, &name, &spec, options)?;
    Ok(moved(&database.name, &report))
}

pub(crate) fn branch(session: &Session, arguments: Branch, from: Option<&str>) -> Result<Output, OpError> {
    let Branch { name, spec, delete, force, .. } = arguments;
    let Some(name) = name else { return lines(session, from) };
    is_set_here("branch", &name, from)?;
    let database = session.database_of(&named(session, spec.as_deref())?)?;
    if delete {
        let report = ops::delete_line(&session.context, &database, &name, force)?;
        return Ok(moved(&database.name, &report));
    }
    let (history, spec) = meant(session, spec.as_deref(), None)?;
    let report = ops::create_line(&session.context, &database, &history, &name, &spec)?;
    let next = format!("next: pagekeep checkout {}:{name} DEST makes a working copy that continues it", database.name);
    Ok(moved(&database.name, &report).say(next))
}

pub(crate) fn undo(session: &Session, name: Option<&str>) -> Result<Output, OpError> {
    let database = session.database(false)?;
    let report = ops::undo(&session.context, &database, name)?;
    Ok(moved(&database.name, &report).say("`pagekeep undo` once more takes this back"))
}

pub(crate) fn reflog(session: &Session, name: Option<&str>, from: Option<&str>) -> Result<Output, OpError> {
    let name = name.map(|name| session.name(name)).transpose()?;
    let (history, _) = meant(session, None, from)?;
    let moves = ops::reflog(&history.store, &history.database, name.as_ref())?;
    let rows = moves.iter().map(|step| {
        let header = &step.record.header;
        vec![
            header.name().to_string(),
            place(&history.database, step.before.as_ref()),
            place(&history.database, header.target.as_ref()),
            moment(header.created_at),
            header.host.clone(),
            header.note.clone().unwrap_or_default(),
        ]
    });
    let text = rows_or_nothing(&["REF", "FROM", "TO", "TIME", "BY", "NOTE"], rows.collect());
    let json = moves.iter().map(|step| {
        let header = &step.record.header;
        json!({
            "kind": header.kind, "name": header.name, "number": header.number, "id": step.record.id,
            "from": target_json(&history.database, step.before.as_ref()),
            "to": target_json(&history.database, header.target.as_ref()),
            "created_at": header.created_at, "host": header.host, "note": header.note,
        })
    });
    let output = Output::new(text, json!({"moves": json.collect::<Vec<_>>()}));
    Ok(if moves.is_empty() { output.say("no tag or line has moved yet") } else { output })
}

/// Names are set in the local store; whoever says where from may think that they are set there.
fn is_set_here(command: &str, name: &str, from: Option<&str>) -> Result<(), OpError> {
    let Some(from) = from else { return Ok(()) };
    let reason =
        format!("--from only lists what is there: {command} {name:?} is set here, and goes to remotes with a sync");
    let hint = format!("pagekeep {command} {name} SPEC && pagekeep backup sync {from}");
    Err(OpError::BadCall { reason, hint })
}

/// The snapshot that is named; the newest when none is.
fn named(session: &Session, spec: Option<&str>) -> Result<Spec, OpError> {
    Ok(spec.map(|text| session.context.spec(text)).transpose()?.unwrap_or_else(Spec::latest))
}

/// The history and the snapshot that a command speaks of; the newest when no spec is given.
fn meant(session: &Session, spec: Option<&str>, from: Option<&str>) -> Result<(History, Spec), OpError> {
    let mut spec = named(session, spec)?;
    let history = session.store_for(&spec, from.unwrap_or("."))?.history(&mut spec)?;
    Ok((history, spec))
}

fn tags(session: &Session, from: Option<&str>) -> Result<Output, OpError> {
    let (history, _) = meant(session, None, from)?;
    let refs = Refs::load(&history.store, &history.database)?;
    let (mut rows, mut found) = (Vec::new(), Vec::new());
    for (name, record, target) in refs.tags() {
        let header = &record.header;
        rows.push(vec![
            name.to_string(),
            place(&history.database, Some(target)),
            moment(header.created_at),
            header.host.clone(),
            header.note.clone().unwrap_or_default(),
        ]);
        found.push(json!({
            "name": name, "target": target_json(&history.database, Some(target)), "created_at": header.created_at,
            "host": header.host, "note": header.note,
        }));
    }
    let text = rows_or_nothing(&["TAG", "SNAPSHOT", "SET", "BY", "NOTE"], rows);
    let empty = found.is_empty();
    let output = Output::new(text, json!({"tags": found}));
    Ok(if empty { output.say("no tag yet; set one: pagekeep tag NAME SPEC") } else { output })
}

fn lines(session: &Session, from: Option<&str>) -> Result<Output, OpError> {
    let from = session.from(from.unwrap_or("."))?;
    let history = from.history(&mut Spec::latest())?;
    let own = from.database.map(|database| database.config().line.clone());
    let (mut rows, mut found) = (Vec::new(), Vec::new());
    for line in ops::lines(&history.store, &history.database)?.into_iter().filter(|line| !line.deleted) {
        let of_line = History { line: line.name.clone(), ..history.clone() };
        let newest = of_line.list(1)?.into_iter().next();
        let at = newest.as_ref().map(|one| title(&history.database, &one.header.line, one.header.number));
        let mark = if own.as_ref() == Some(&line.name) { "*" } else { "" };
        rows.push(vec![
            format!("{}{mark}", line.name),
            at.clone().unwrap_or("-".into()),
            newest.as_ref().map_or(String::new(), |one| moment(one.header.created_at)),
            place(&history.database, line.start.as_ref()),
        ]);
        found.push(json!({
            "name": line.name, "newest": at, "id": newest.as_ref().map(|one| one.id),
            "start": target_json(&history.database, line.start.as_ref()), "current": own.as_ref() == Some(&line.name),
        }));
    }
    let text = rows_or_nothing(&["LINE", "NEWEST", "TIME", "STARTS AT"], rows);
    Ok(Output::new(text, json!({"lines": found})))
}

/// What was done to a ref: its new place on stdout, the move on stderr.
fn moved(database: &Name, report: &RefReport) -> Output {
    let (before, after) = (place(database, report.before.as_ref()), place(database, report.after.as_ref()));
    let said = match (report.changed, &report.before, &report.after) {
        (false, ..) => format!("{} stands for {after} already", report.name),
        (_, None, _) if report.name.kind == RefKind::Line => format!("{} starts at {after}", report.name),
        (_, None, _) => format!("{} stands for {after}", report.name),
        (_, _, None) => format!("{} is deleted; it was {before}", report.name),
        _ => format!("{} stands for {after}; it was {before}", report.name),
    };
    let text = report.after.as_ref().map(|_| after.clone()).unwrap_or_default();
    let json = json!({
        "kind": report.name.kind, "name": report.name.name, "changed": report.changed,
        "from": target_json(database, report.before.as_ref()), "to": target_json(database, report.after.as_ref()),
    });
    Output::new(text, json).say(said)
}

fn place(database: &Name, target: Option<&RefTarget>) -> String {
    target.map_or("-".into(), |target| title(database, &target.line, target.number))
}

fn target_json(database: &Name, target: Option<&RefTarget>) -> Value {
    target.map_or(Value::Null, |target| {
        json!({"snapshot": place(database, Some(target)), "line": target.line, "number": target.number, "id": target.id})
    })
}
