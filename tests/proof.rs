//! What lets an operator sleep: drills, the doctor, hooks, metrics, and one JSON object from every command.

#[path = "support/cli.rs"]
mod cli;

#[path = "proof/doctor.rs"]
mod doctor;
#[path = "proof/drill.rs"]
mod drill;
#[path = "proof/json.rs"]
mod json;
#[path = "proof/matrix.rs"]
mod matrix;
#[path = "proof/watch.rs"]
mod watch;
