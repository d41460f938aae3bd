//! Procedures: what pagekeep does, called by name with arguments, answered with rows.
//!
//! One [registry](all) says of each procedure how it is called and what it gives. `pagekeep call`, SQL ([`sql`]), the loadable
//! extension and `docs/PROCEDURES.md` are made from it; nothing about a procedure is written twice. As the operations below,
//! nothing here prints, asks, or reads the environment.

mod arguments;
mod backup;
mod bad_call;
mod call;
mod caller;
mod care;
mod differences;
mod help;
pub mod jobs;
mod managed;
mod procedure;
mod refs;
mod registry;
mod retention;
mod rows;
pub mod sql;
mod tables;

pub use arguments::Given;
pub use bad_call::no_procedure;
pub use call::Call;
pub use caller::Caller;
pub use help::{markdown, text};
pub use managed::file_name;
pub use procedure::{Argument, Constant, Effect, Kind, Procedure};
pub use registry::{all, named};
pub use rows::{Column, Row, Rows, Value, shown};
