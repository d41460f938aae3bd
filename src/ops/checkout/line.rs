//! Which line a working copy continues.

use super::CheckoutOptions;
use crate::base::Name;
use crate::format::record::Record;
use crate::format::refs::RefName;
use crate::ops::spec::title;
use crate::ops::{Context, Database, History, OpError, lines};
use crate::store::Store;

/// The line that a copy continues, and whether it has to be made.
pub(super) fn choose_line(
    context: &Context,
    database: &Database,
    history: &History,
    record: &Record,
    options: &CheckoutOptions,
) -> Result<(Name, bool), OpError> {
    let name = record.header.name();
    let tip = |store: &Store, line: &Name| {
        History { store: store.clone(), database: history.database.clone(), line: line.clone() }.tip()
    };
    let shown = title(&history.database, &name.line, name.number);
    if let Some(line) = &options.new_line {
        let local = database.local_store(context)?;
        let there =
            lines::lines(&local, &database.name)?.into_iter().any(|known| known.name == *line && !known.deleted);
        if !there && *line != Name::main_line() {
            return Ok((line.clone(), true));
        }
        return match tip(&local, line)? {
            Some(tip) if tip == name => Ok((line.clone(), false)),
            tip => Err(OpError::Ref {
                what: RefName::line(line.clone()).to_string(),
                reason: match tip {
                    Some(tip) => format!("its newest is {}, not {shown}", title(&history.database, line, tip.number)),
                    None => "it has no snapshot".into(),
                },
                next: "name a line that is not there yet: `pagekeep branch` lists them".into(),
            }),
        };
    }
    for line in [&history.line, &name.line] {
        let newest = history.store.newest_ref(&history.database, &RefName::line(line.clone()))?;
        if newest.is_some_and(|record| record.header.target.is_none()) {
            continue;
        }
        if tip(&history.store, line)?.is_some_and(|tip| tip == name) {
            return Ok((line.clone(), false));
        }
    }
    Err(OpError::Ref {
        what: shown,
        reason: "it is not the newest snapshot of a line, so that a copy of it needs a line of its own".into(),
        next: "name one: pagekeep checkout SPEC DEST -b NAME".into(),
    })
}
