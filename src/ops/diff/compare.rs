//! Two states brought together: two snapshots, or one and the live database.

use std::path::Path;

use super::{Borrowing, Pair, Shelf, changed_between};
use crate::ops::{Context, OpError, Spec};
use crate::rows::Pages;

impl Shelf {
    /// Hands over two states, with their names: the snapshot `old`, and the snapshot `new` or, without one, the live database.
    ///
    /// # Errors
    /// When a state cannot be opened; and what `take` fails with.
    pub fn compare<T>(
        &self,
        context: &Context,
        old: &Spec,
        new: Option<Spec>,
        file: Option<&Path>,
        take: impl FnOnce(&Pair<'_>, [String; 2]) -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        let a = self.snapshot(old, file)?;
        if let Some(new) = new {
            let b = self.rows(self.state(new)?, file, Some(&a))?;
            let changed = changed_between(&a, &b);
            let borrowing = Borrowing::new(b.pages(), a.pages(), &changed);
            return take(&Pair { a: a.pages(), b: &borrowing, changed: &changed }, [a.name(), b.name()]);
        }
        let path = a.state.files[&a.file].path.to_path().unwrap_or_default();
        let live = self.live(context, Some(&path))?;
        let changed = self.changed_since(&a, &live)?;
        let borrowing = Borrowing::new(a.pages(), &live as &dyn Pages, &changed);
        take(&Pair { a: &borrowing, b: &live, changed: &changed }, [a.name(), "now".into()])
    }
}
