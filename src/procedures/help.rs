//! What the registry says, for people: in the terminal, and as `docs/PROCEDURES.md`.

use super::{Argument, Column, Constant, Effect, Procedure, all};

const HEAD: &str = "\
# Procedures

Made from the registry in `src/procedures/`; `tests/procedures.rs` holds it equal.

    pagekeep call NAME [ARG…] [--arg NAME=VALUE]…     any of them; with --json as {\"columns\": […], \"rows\": [[…], …]}
    pagekeep call --list [NAME]                       what there is
    CALL backup('sync', 'offsite');                   where SQL is understood
    CALL sp_backup_restore(Database => 'shop', BackupId => '3');
    SELECT backup('sync', 'offsite');                 what changes something, as a function: the first column of the first row
    SELECT * FROM backup_log('offsite');              what only looks, as a table

Arguments are given in their order or by name; `database`, `Database`, `backup_id` and `BackupId` are spellings of one name, as
are `sync_url` and `sync-url`. Null stands for the default; a flag is 1 or 0. A text like `'--force'` sets the flag of that name. Errors have the
text, the hint and, on the command line, the exit code that the same failure has everywhere.
";

/// What is known of one procedure, or of one verb.
pub fn text(procedure: &Procedure) -> String {
    let mut lines = vec![procedure.signature(), format!("    {}", procedure.help)];
    if !procedure.aliases.is_empty() {
        lines.push(format!("  also: {}", procedure.aliases.join(", ")));
    }
    let arguments = procedure.arguments.iter();
    lines.extend(arguments.map(|one| format!("  {:<12} {}, {}: {}", one.name, one.kind.name(), given(one), one.help)));
    lines.push(format!("  gives: {}", columns(procedure.columns)));
    lines.join("\n")
}

/// All procedures, as a document.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for (effect, title) in [(Effect::Changes, "Procedures that change something"), (Effect::Reads, "Tables")] {
        text.push_str(&format!("\n## {title}\n"));
        for procedure in all().iter().filter(|procedure| procedure.effect == effect) {
            text.push_str(&section(procedure));
        }
    }
    text
}

fn section(procedure: &Procedure) -> String {
    let mut text = format!("\n### `{}`\n\n{}.\n", procedure.signature(), procedure.help);
    let verbs = procedure.verbs.iter().skip(1).map(|verb| format!("`{}('{verb}', …)`", procedure.name));
    let names = procedure.aliases.iter().map(|alias| format!("`{alias}`"));
    let also: Vec<String> = names.chain(verbs).collect();
    if !also.is_empty() {
        text.push_str(&format!("Also {}.\n", also.join(", ")));
    }
    if !procedure.arguments.is_empty() {
        text.push_str("\n| argument | kind | when not given | meaning |\n|---|---|---|---|\n");
        for one in procedure.arguments {
            let names: Vec<String> = [one.name].iter().chain(one.aliases).map(|name| format!("`{name}`")).collect();
            let (kind, given) = (one.kind.name(), given(one));
            text.push_str(&format!("| {} | {kind} | {given} | {} |\n", names.join(", "), one.help));
        }
    }
    text + &format!("\nGives {}.\n", columns(procedure.columns))
}

fn columns(columns: &[Column]) -> String {
    columns.iter().map(|column| format!("{} {}", column.name, column.kind.name())).collect::<Vec<_>>().join(", ")
}

fn given(argument: &Argument) -> String {
    match argument.default {
        None => "must be given".into(),
        Some(Constant::Null) => "none".into(),
        Some(Constant::Integer(number)) => number.to_string(),
        Some(Constant::Text(text)) => text.to_owned(),
    }
}
