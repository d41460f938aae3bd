//! Changes that a page asks for and a job makes: waited for as long as people wait, then shown as the job it is.

use axum::response::Response;
use serde_json::{Map, Value};

use super::visit::{Visit, go};
use super::words;
use crate::server::access::Scope;
use crate::server::answer::Failure;
use crate::server::routes::work::{IfBusy, outcome};

/// Seconds that a browser waits before it is shown the job.
const WAIT_S: u64 = 10;

/// Calls a procedure about the database of the path, and goes back with a notice once it is done.
pub(super) async fn call(
    visit: Visit,
    scope: Scope,
    procedure: &'static str,
    mut given: Map<String, Value>,
    back: &str,
) -> Result<Response, Failure> {
    let (place, job) = visit
        .find(move |visit| {
            let place = visit.server.place(&visit.who, scope, &visit.part(0))?;
            if let Some(Value::String(text)) = given.get_mut("at") {
                *text = place.spec_text(text)?;
            }
            let job = visit.server.begin(&place, place.task(procedure, given), IfBusy::Wait)?;
            Ok((place, job))
        })
        .await?;
    let job = visit.server.wait(&place.database.workspace, &job.id, WAIT_S).await?;
    if !job.state.is_finished() {
        return Ok(go(format!("/jobs/{}", job.id)));
    }
    outcome(&job)?;
    Ok(go(back))
}

/// The address of the snapshot of the path, with a notice.
pub(super) fn back_to_snapshot(visit: &Visit, said: &str) -> String {
    format!("{}/snapshots/{}?said={said}", words::database(&visit.part(0)), words::segment(&visit.part(1)))
}
