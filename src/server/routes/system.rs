//! Whether the server lives, is ready, and what it has done.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::server::access::{Scope, Who};
use crate::server::answer::{Answer, Failure, done};
use crate::server::lead::Role;

/// The description of every route.
#[derive(Clone)]
pub(super) struct Document(pub(super) Bytes);

pub(super) async fn openapi(Extension(Document(text)): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Its version.
    version: &'static str,
    /// Databases that are served.
    databases: usize,
    /// Jobs at work.
    working: usize,
    /// Jobs that wait.
    waiting: usize,
    /// Since when it runs.
    since: String,
    /// What it is among several servers: `alone`, `leads`, `follows`, or `undecided`.
    role: &'static str,
    /// Who leads, when another does: the machine.
    leader: Option<String>,
    /// Where that one answers.
    leader_address: Option<String>,
    /// The epoch of the lease.
    epoch: Option<u32>,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, body = Health)))]
pub(super) async fn healthz(State(server): Shared) -> Answer<Health> {
    let numbers = server.runner.numbers();
    let (mut leader, mut leader_address) = (None, None);
    let (role, epoch) = match server.lead.as_ref().map(|lead| lead.role()) {
        None => ("alone", None),
        Some(Role::Leads(epoch)) => ("leads", Some(epoch)),
        Some(Role::Undecided(_)) => ("undecided", None),
        Some(Role::Follows(beat)) => {
            (leader, leader_address) = (Some(beat.host), beat.address);
            ("follows", Some(beat.place.epoch))
        }
    };
    done(Health {
        role,
        leader,
        leader_address,
        epoch,
        version: env!("CARGO_PKG_VERSION"),
        databases: server.catalog.entries().len(),
        working: numbers.working,
        waiting: numbers.waiting,
        since: server.began.to_string(),
    })
}

/// Whether it takes requests and runs schedules.
#[utoipa::path(get, path = "/readyz", tag = "system", responses((status = 200, body = Health), (status = 503, body = crate::server::answer::Refusal)))]
pub(super) async fn readyz(state: Shared) -> Answer<Health> {
    let server = &state.0;
    let quiet = server.base.context.now().as_second() - server.alive.load(Relaxed);
    if *server.stopping.borrow() || quiet > 120 {
        let why = if quiet > 120 { "schedules are not run" } else { "the server stops" };
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why).retry_after(5));
    }
    healthz(state).await
}

/// What Prometheus wants to know.
#[utoipa::path(get, path = "/metrics", tag = "system", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(server): Shared, who: Who) -> Result<impl IntoResponse, Failure> {
    who.may(Scope::Read)?;
    let shared = std::sync::Arc::clone(&server);
    let text = server.pool.run(move || Ok::<_, Failure>(text(&shared, &who))).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

fn text(server: &crate::server::Server, who: &Who) -> String {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, f64)>| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let (numbers, now) = (server.runner.numbers(), server.base.context.now());
    let entries = server.catalog.entries();
    let alone = |value: f64| vec![(String::new(), value)];
    family("pagekeep_databases", "gauge", "Databases that are served.", alone(entries.len() as f64));
    family("pagekeep_jobs_working", "gauge", "Jobs at work.", alone(numbers.working as f64));
    family("pagekeep_jobs_waiting", "gauge", "Jobs that wait.", alone(numbers.waiting as f64));
    let ended = numbers.ended.iter().map(|(state, count)| (format!("{{state=\"{state}\"}}"), *count as f64));
    family("pagekeep_jobs_ended_total", "counter", "Jobs that ended, by their states.", ended.collect());
    if let Some(lead) = &server.lead {
        let leads = f64::from(u8::from(lead.leads()));
        family("pagekeep_leads", "gauge", "Whether this server does the work, of several.", alone(leads));
    }
    let (classes, time) = server.counts.all();
    let classes = classes.into_iter().map(|(class, count)| (format!("{{class=\"{class}xx\"}}"), count as f64));
    family("pagekeep_http_requests_total", "counter", "Requests, by the class of their status.", classes.collect());
    family("pagekeep_http_seconds_total", "counter", "Time until answers began.", alone(time.as_secs_f64()));
    let (mut ages, mut failing) = (Vec::new(), Vec::new());
    for name in entries.keys().filter(|name| who.sees(name)) {
        let Ok((entry, workspace)) = server.catalog.workspace(name) else { continue };
        let label = format!("{{database=\"{}\"}}", name.as_str().replace('\\', "\\\\").replace('"', "\\\""));
        if let Some(memory) = server.memories.database(&workspace, &entry.handle) {
            ages.push((label.clone(), now.duration_since(memory.created_at).as_secs_f64().max(0.0)));
        }
        let remotes = workspace.config.remotes.keys().map(|remote| server.memories.remote(&workspace, remote));
        failing.push((label, remotes.filter(|remote| remote.failure.contains_key(&entry.handle)).count() as f64));
    }
    family("pagekeep_snapshot_age_seconds", "gauge", "Age of the newest snapshot of a database.", ages);
    family("pagekeep_remotes_failing", "gauge", "Remotes of a database whose last sync failed.", failing);
    out
}
