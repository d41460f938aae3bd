//! What stays and what goes: marks, their races, what travels, and the commands as people type them.

#![allow(clippy::result_large_err, reason = "the error is the operations' own; a test has few of them")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/ops.rs"]
mod ops;

#[path = "retention/commands.rs"]
mod commands;
#[path = "retention/marks.rs"]
mod marks;
#[path = "retention/travel.rs"]
mod travel;
