//! What there is: names and columns must be known when a statement is prepared, before the program is asked.

/// A procedure that only looks: a table, whose arguments are hidden columns.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// What the program calls it.
    pub(crate) procedure: &'static str,
    /// Columns with their types.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// Arguments in order. A hidden column cannot be named as one that is shown.
    pub(crate) arguments: &'static [&'static str],
}

/// Procedures that change something, as functions.
pub(crate) const FUNCTIONS: &[&str] = &[
    "backup",
    "dolt_backup",
    "backup_forget",
    "backup_recall",
    "backup_apply_retention",
    "backup_hold",
    "backup_release",
];

const BACKUPS: Table = Table {
    name: "backups",
    procedure: "backups",
    columns: &[
        ("name", "TEXT"),
        ("url", "TEXT"),
        ("synced_at", "TEXT"),
        ("age_s", "INTEGER"),
        ("newest", "INTEGER"),
        ("behind", "INTEGER"),
        ("behind_bytes", "INTEGER"),
        ("up_to_date", "INTEGER"),
        ("failing_since", "TEXT"),
        ("failing", "TEXT"),
        ("conditional_put", "INTEGER"),
    ],
    arguments: &["database"],
};

/// The tables.
pub(crate) const TABLES: &[Table] = &[
    BACKUPS,
    Table { name: "dolt_backups", ..BACKUPS },
    Table {
        name: "backup_log",
        procedure: "backup_log",
        columns: &[
            ("snapshot", "TEXT"),
            ("number", "INTEGER"),
            ("snapshot_id", "TEXT"),
            ("created_at", "TEXT"),
            ("host", "TEXT"),
            ("name", "TEXT"),
            ("note", "TEXT"),
            ("size_bytes", "INTEGER"),
            ("chunks", "INTEGER"),
            ("changed_chunks", "INTEGER"),
            ("new_chunks", "INTEGER"),
        ],
        arguments: &["from", "at", "count"],
    },
    Table {
        name: "backup_status",
        procedure: "backup_status",
        columns: &[
            ("name", "TEXT"),
            ("age_s", "INTEGER"),
            ("newest", "INTEGER"),
            ("behind", "INTEGER"),
            ("behind_bytes", "INTEGER"),
            ("stale", "INTEGER"),
            ("failing", "TEXT"),
        ],
        arguments: &["max_age", "database"],
    },
    Table {
        name: "backup_refs",
        procedure: "backup_refs",
        columns: &[
            ("kind", "TEXT"),
            ("name", "TEXT"),
            ("snapshot", "TEXT"),
            ("starts_at", "TEXT"),
            ("set_at", "TEXT"),
            ("host", "TEXT"),
            ("note", "TEXT"),
        ],
        arguments: &["from"],
    },
    Table {
        name: "backup_diff",
        procedure: "backup_diff",
        columns: &[
            ("table_name", "TEXT"),
            ("change", "TEXT"),
            ("columns", "TEXT"),
            ("row_before", "TEXT"),
            ("row_after", "TEXT"),
        ],
        arguments: &["a", "b", "table", "from", "file"],
    },
    Table {
        name: "backup_history",
        procedure: "backup_history",
        columns: &[("number", "INTEGER"), ("created_at", "TEXT"), ("event", "TEXT"), ("row", "TEXT")],
        arguments: &["table", "key", "from", "file"],
    },
    Table {
        name: "backup_retention",
        procedure: "backup_retention",
        columns: &[("place", "TEXT"), ("policy", "TEXT")],
        arguments: &["database"],
    },
    Table {
        name: "backup_marks",
        procedure: "backup_marks",
        columns: &[("snapshot", "TEXT"), ("mark", "TEXT"), ("since", "TEXT"), ("host", "TEXT"), ("reason", "TEXT")],
        arguments: &["from"],
    },
    Table {
        name: "backup_stats",
        procedure: "backup_stats",
        columns: &[
            ("snapshot", "TEXT"),
            ("created_at", "TEXT"),
            ("size_bytes", "INTEGER"),
            ("added_bytes", "INTEGER"),
            ("unique_bytes", "INTEGER"),
            ("store_bytes", "INTEGER"),
        ],
        arguments: &["from"],
    },
];

impl Table {
    /// The statement that tells SQLite the columns. An argument has no type: whatever is given is passed on.
    pub(crate) fn declaration(&self) -> String {
        let columns = self.columns.iter().map(|(name, kind)| format!("\"{name}\" {kind}"));
        let arguments = self.arguments.iter().map(|name| format!("\"{name}\" HIDDEN"));
        format!("CREATE TABLE x ({})", columns.chain(arguments).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_table_has_two_columns_of_a_name() {
        for table in TABLES {
            let columns = table.columns.iter().map(|(name, _)| *name);
            let mut names: Vec<&str> = columns.chain(table.arguments.iter().copied()).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{}", table.name);
            assert!(table.arguments.len() < 31, "{}: the arguments given are bits of a number", table.name);
        }
    }
}
