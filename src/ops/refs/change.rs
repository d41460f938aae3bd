//! Setting, moving, deleting and putting back: each is one more record in the local store.

use super::{Refs, reflog};
use crate::base::{Name, Nonce, RefNumber};
use crate::format::marks::Marks;
use crate::format::refs::{MAX_REF_BYTES, RefHeader, RefKind, RefName, RefRecord, RefTarget};
use crate::ops::retention::{self, RetentionError};
use crate::ops::spec::{Spec, Version, title};
use crate::ops::{Context, Database, History, OpError};
use crate::store::{CreatedRef, Store, keys};
use crate::workspace::Workspace;

/// What moved, from where to where.
#[derive(Clone, Debug)]
pub struct RefReport {
    /// The ref.
    pub name: RefName,
    /// Where it was.
    pub before: Option<RefTarget>,
    /// Where it is.
    pub after: Option<RefTarget>,
    /// Whether anything had to be done.
    pub changed: bool,
}

/// How a tag is set.
#[derive(Clone, Debug, Default)]
pub struct TagOptions {
    /// What is said about it.
    pub note: Option<String>,
    /// Move it when it stands for another snapshot.
    pub force: bool,
}

/// Names a snapshot of the history at hand.
///
/// # Errors
/// When the name cannot be one, stands for another snapshot, or there is no such snapshot.
pub fn set_tag(
    context: &Context,
    database: &Database,
    history: &History,
    name: &str,
    spec: &Spec,
    options: TagOptions,
) -> Result<RefReport, OpError> {
    let name = RefName::tag(tag_name(context, name)?);
    let target = target(history, spec)?;
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let local = database.local_store(context)?;
    let there = local.newest_ref(&database.name, &name)?;
    if there.is_none() {
        means_nothing_else(database, &local, &name)?;
    }
    if let Some(RefRecord { header, .. }) = &there
        && let Some(before) = &header.target
        && *before != target
        && !options.force
    {
        let stands = title(&database.name, &before.line, before.number);
        return Err(OpError::Ref {
            what: name.to_string(),
            reason: format!("it stands for {stands}, set by {} at {}", header.host, header.created_at),
            next: format!("move it with --force, or see what it was: pagekeep reflog {}", name.name),
        });
    }
    put(context, database, &local, name, there, Some(target), options.note)
}

/// Names a snapshot of this database by a new tag, for whoever holds the lock: `name`, or the first of `name-2`, `name-3` …
/// that no tag had yet. Returns the name.
pub(in crate::ops) fn add_tag(
    context: &Context,
    database: &Database,
    name: &str,
    target: RefTarget,
    note: &str,
) -> Result<Name, OpError> {
    let local = database.local_store(context)?;
    let mut names = std::iter::once(name.to_owned()).chain((2..).map(|n| format!("{name}-{n}")));
    let name = names.find_map(|text| {
        let free = tag_name(context, &text).and_then(|text| {
            let name = RefName::tag(text);
            Ok(local.newest_ref(&database.name, &name)?.is_none().then_some(name))
        });
        free.transpose()
    });
    let name = name.expect("BUG: numbers do not end")?;
    put(context, database, &local, name.clone(), None, Some(target), Some(note.to_owned()))?;
    Ok(name.name)
}

/// Deletes a tag.
///
/// # Errors
/// When there is none.
pub fn delete_tag(context: &Context, database: &Database, name: &str) -> Result<RefReport, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let local = database.local_store(context)?;
    let (name, there) = existing(&local, database, RefKind::Tag, name)?;
    put(context, database, &local, name, Some(there), None, None)
}

/// Starts a line at a snapshot of the history at hand.
///
/// # Errors
/// When there is a line of this name, or no such snapshot.
pub fn create_line(
    context: &Context,
    database: &Database,
    history: &History,
    name: &str,
    spec: &Spec,
) -> Result<RefReport, OpError> {
    let name = Name::new(name).map_err(|error| bad_name("a line", name, error.to_string()))?;
    let target = target(history, spec)?;
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    start_line(context, database, name, target)
}

/// The same, for whoever holds the lock and knows the snapshot.
pub(in crate::ops) fn start_line(
    context: &Context,
    database: &Database,
    name: Name,
    target: RefTarget,
) -> Result<RefReport, OpError> {
    let local = database.local_store(context)?;
    let there = local.newest_ref(&database.name, &RefName::line(name.clone()))?;
    let gone = there.as_ref().is_some_and(|record| record.header.target.is_none());
    let has_snapshots = local.newest(&database.name, &name)?.is_some();
    let name = RefName::line(name);
    if gone && has_snapshots {
        return Err(OpError::Ref {
            what: name.to_string(),
            reason: "it was deleted, and its snapshots are still kept".into(),
            next: format!("take another name, or bring it back: pagekeep undo {}", name.name),
        });
    }
    if has_snapshots || there.is_some() && !gone || name.name == Name::main_line() {
        return Err(OpError::Ref {
            what: name.to_string(),
            reason: "it is there already".into(),
            next: "`pagekeep branch` lists the lines; take another name".into(),
        });
    }
    means_nothing_else(database, &local, &name)?;
    put(context, database, &local, name, there, Some(target), None)
}

/// Takes the last move of a ref back as if it had not been, for whoever made it and still holds the lock.
pub(in crate::ops) fn unmade(context: &Context, database: &Database, name: &RefName) -> Result<(), OpError> {
    let local = database.local_store(context)?;
    let Some(last) = local.newest_ref(&database.name, name)? else { return Ok(()) };
    let key = keys::ref_record(&database.name, name, last.header.number);
    Ok(local.remote().delete(&key)?)
}

/// Deletes a line's name. Its snapshots stay.
///
/// # Errors
/// When there is no such line, a database here continues it, or, without `force`, it holds snapshots that nothing else
/// leads to.
pub fn delete_line(context: &Context, database: &Database, name: &str, force: bool) -> Result<RefReport, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let local = database.local_store(context)?;
    if name == Name::main_line().as_str() {
        return Err(OpError::Ref {
            what: "line main".into(),
            reason: "every database has it".into(),
            next: "`pagekeep branch` lists the others".into(),
        });
    }
    let (name, there) = existing(&local, database, RefKind::Line, name)?;
    may_go(database, &local, &name, force)?;
    put(context, database, &local, name, Some(there), None, None)
}

/// Puts a ref back to where it was before its last move; without a name the ref that moved last. Undoing that puts it
/// where it is now.
///
/// # Errors
/// When nothing moved, or a line would go that is still needed.
pub fn undo(context: &Context, database: &Database, name: Option<&str>) -> Result<RefReport, OpError> {
    let _lock = database.workspace.lock(database.settings.lock_wait())?;
    let local = database.local_store(context)?;
    let name = name.map(|name| Name::new(name).map_err(|error| bad_name("a ref", name, error.to_string())));
    let name = name.transpose()?;
    let moves = reflog(&local, &database.name, name.as_ref())?;
    let Some(last) = moves.into_iter().next() else {
        return Err(OpError::Ref {
            what: "undo".into(),
            reason: name
                .map_or("no tag or line has moved yet".into(), |name| format!("nothing named {name} has moved")),
            next: "`pagekeep reflog` shows what moved".into(),
        });
    };
    let name = last.record.header.name();
    if name.kind == RefKind::Line && last.before.is_none() {
        may_go(database, &local, &name, false)?;
    }
    let note = format!("undo of move {}", last.record.header.number);
    put(context, database, &local, name, Some(last.record), last.before, Some(note))
}

/// The newest record of a ref that is there.
fn existing(local: &Store, database: &Database, kind: RefKind, text: &str) -> Result<(RefName, RefRecord), OpError> {
    let name = Name::new(text).map_err(|error| bad_name("a ref", text, error.to_string()))?;
    let name = RefName { kind, name };
    let there = local.newest_ref(&database.name, &name)?.filter(|record| record.header.target.is_some());
    match there {
        Some(record) => Ok((name, record)),
        None => {
            let list = if kind == RefKind::Tag { "pagekeep tag" } else { "pagekeep branch" };
            let (reason, next) = ("there is none of this name".into(), format!("list what there is: {list}"));
            Err(OpError::Ref { what: name.to_string(), reason, next })
        }
    }
}

/// Whether a line's name may go.
fn may_go(database: &Database, local: &Store, name: &RefName, force: bool) -> Result<(), OpError> {
    let stays = |reason: String, next: String| Err(OpError::Ref { what: name.to_string(), reason, next });
    let line = &name.name;
    // As it is now: a copy may have come since this run began.
    let workspace = Workspace::open(database.workspace.home())?;
    let known = workspace.iter().flat_map(|workspace| &workspace.config.databases);
    let mut copies = known
        .filter(|(handle, known)| *known.database.as_ref().unwrap_or(handle) == database.name && known.line == *line);
    if let Some((handle, known)) = copies.next() {
        let next = format!("stop keeping it first: pagekeep remove {handle}");
        return stays(format!("{} continues it", known.path.display()), next);
    }
    let numbers = local.numbers(&database.name, line, usize::MAX)?;
    let Some(newest) = numbers.first().filter(|_| !force) else { return Ok(()) };
    let refs = Refs::load(local, &database.name)?;
    let leads = |target: &RefTarget| target.line == *line && target.number == *newest;
    if refs.all().any(|(_, record)| record.header.target.as_ref().is_some_and(leads)) {
        return Ok(());
    }
    let tip = title(&database.name, line, *newest);
    let next = format!("tag the newest first: pagekeep tag NAME {tip}, or delete the name with --force");
    stays(format!("nothing else leads to its snapshots ({})", numbers.len()), next)
}

/// The snapshot a spec names, as a ref stands for it.
fn target(history: &History, spec: &Spec) -> Result<RefTarget, OpError> {
    let record = history.resolve(spec)?;
    let (line, number) = (record.header.line, record.header.number);
    let target = RefTarget { line, number, id: record.id };
    is_shown(&history.marks()?, &history.database, &target)?;
    Ok(target)
}

/// Refuses to name what was forgotten: it may be removed at any time.
fn is_shown(marks: &Marks, database: &Name, target: &RefTarget) -> Result<(), OpError> {
    if marks.is_forgotten(&target.name()) {
        let snapshot = title(database, &target.line, target.number);
        return Err(RetentionError::Forgotten { snapshot }.into());
    }
    Ok(())
}

/// Creates the next record of a ref in the local store; none when it stands there already.
fn put(
    context: &Context,
    database: &Database,
    local: &Store,
    name: RefName,
    there: Option<RefRecord>,
    after: Option<RefTarget>,
    note: Option<String>,
) -> Result<RefReport, OpError> {
    let before = there.as_ref().and_then(|record| record.header.target.clone());
    if there.is_some() && before == after {
        return Ok(RefReport { name, before, after, changed: false });
    }
    if let Some(target) = &after {
        is_shown(&retention::marks(local, &database.name)?, &database.name, target)?;
    }
    let last = there.as_ref().map_or(0, |record| record.header.number.0);
    let refused =
        |reason: &str, next: &str| OpError::Ref { what: name.to_string(), reason: reason.into(), next: next.into() };
    let number = last.checked_add(1).ok_or_else(|| refused("it moved too often", "take another name"))?;
    let header = RefHeader {
        format: crate::format::envelope::FORMAT_VERSION.into(),
        database: database.name.clone(),
        lineage: database.config().lineage.clone(),
        kind: name.kind,
        name: name.name.clone(),
        number: RefNumber(number),
        target: after.clone(),
        previous: there.map(|record| record.id),
        created_at: context.now(),
        host: context.host.clone(),
        tool: context.tool.clone(),
        nonce: Nonce::fresh(),
        note,
    };
    let (bytes, _) = RefRecord::encode(&header);
    if RefRecord::decode(&bytes).map_err(OpError::Inconsistent).is_err() {
        return Err(refused("the text about it is too long", &format!("{} bytes in all are allowed", MAX_REF_BYTES)));
    }
    match local.create_ref(&header, bytes.into())? {
        CreatedRef::Ours => Ok(RefReport { name, before, after, changed: true }),
        CreatedRef::Theirs(theirs) => Err(super::travel::conflict(&theirs.header, local, None)),
    }
}

/// A name alone may be that of a database, a line or a tag: each stands for one of them.
fn means_nothing_else(database: &Database, local: &Store, name: &RefName) -> Result<(), OpError> {
    let what = if name.kind == RefKind::Tag { "a tag" } else { "a line" };
    let taken = |reason: &str| Err(bad_name(what, name.name.as_str(), reason.into()));
    let text = &name.name;
    if *text == database.name || database.workspace.config.databases.contains_key(text) {
        return taken("it is the name of a database");
    }
    let other = match name.kind {
        RefKind::Tag => RefName::line(text.clone()),
        RefKind::Line => RefName::tag(text.clone()),
    };
    let is_live = local.newest_ref(&database.name, &other)?.is_some_and(|record| record.header.target.is_some());
    let has_snapshots = name.kind == RefKind::Tag && local.newest(&database.name, text)?.is_some();
    match name.kind {
        RefKind::Tag if is_live || has_snapshots || *text == Name::main_line() => taken("it is the name of a line"),
        RefKind::Line if is_live => taken("it is the name of a tag"),
        _ => Ok(()),
    }
}

/// A name that a tag can have: in a spec it must read as nothing else.
fn tag_name(context: &Context, text: &str) -> Result<Name, OpError> {
    let name = Name::new(text).map_err(|error| bad_name("a tag", text, error.to_string()))?;
    let reason = if text.starts_with("latest") {
        "names that begin with latest are for the newest snapshots"
    } else if text.contains('~') {
        "what stands behind ~ says how many snapshots before"
    } else if text.len() >= 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        "it reads as the beginning of a snapshot's id"
    } else {
        match context.spec(&format!("@{text}")).map(|spec| spec.version) {
            Ok(Version::Word(_)) => return Ok(name),
            Ok(Version::Time(_)) => "it reads as a time",
            _ => "it reads as a number",
        }
    };
    Err(bad_name("a tag", text, reason.into()))
}

fn bad_name(what: &str, text: &str, reason: String) -> OpError {
    let rule = "a tag is no number, time or id, has no / \\ @ : ~ in it, and is not named like a database or a line";
    let next = match what {
        "a tag" => format!("take another name, like v1.2: {rule}"),
        _ => "take another name, like fix-1".into(),
    };
    OpError::Ref { what: format!("{text:?} cannot name {what}"), reason, next }
}
