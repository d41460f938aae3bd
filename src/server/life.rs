//! The server's life: it opens what it needs, says that it is ready, serves, and stops when asked, leaving nothing half done.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use sd_notify::NotifyState;

use super::access::{Access, Gate};
use super::catalog::Catalog;
use super::config::{ServeConfig, ServeError, Tls};
use super::lead::Lead;
use super::preset::{Preset, with_storage};
use super::runner::{Runner, say_end};
use super::{ServeOptions, Server, http, pool, routes, runs, scheduler};
use crate::base::Name;
use crate::ops::{Context, OpError};
use crate::procedures::{Caller, jobs};
use crate::workspace::Recollection;

/// Threads that serve sockets.
const WORKERS: usize = 2;
/// How often it is looked whether the server is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long headers may take to come, and a connection may be kept without a request.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of headers.
const HEADER_BYTES: usize = 32 << 10;
/// Headers of a request.
const HEADERS: usize = 64;
/// How long requests and jobs at work may go on once the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// A scheduler that was not seen at work for so long is stuck, and the watchdog may know.
const STUCK_AFTER_S: i64 = 120;

/// Memory of SQLite in this process: a statement that wants more fails.
const SQLITE_BYTES: u64 = 96 << 20;

/// Serves until the caller's progress says stop. `caller` is who the server is when it calls operations.
///
/// # Errors
/// When the configuration makes no sense, or the address or the state folder cannot be had.
pub fn serve(mut caller: Caller, options: &ServeOptions) -> Result<(), OpError> {
    let config = ServeConfig::load(&caller.context, options)?;
    let preset = Preset::read(&caller.context.environment)?;
    caller.context.environment = with_storage(&caller.context.environment);
    caller.database = None;
    // Whoever sits at the terminal is not who asks.
    caller.context.passwords.prompt = None;
    let folder = config.state.clone();
    std::fs::create_dir_all(&folder).map_err(OpError::io("create", &folder))?;
    let _held = hold(&folder)?;
    let access = Access::open(&folder)?;
    if !config.listen.ip().is_loopback() && access.is_empty()? {
        return Err(ServeError::Open { address: config.listen, config: options.config.clone() }.into());
    }
    crate::query::bound_memory(SQLITE_BYTES);
    // A second provider is no failure: whichever came first serves both.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(config.requests + 16)
        .thread_keep_alive(Duration::from_secs(30))
        .thread_name("pagekeep-http")
        .enable_all()
        .build()
        .map_err(OpError::io("start threads for", Path::new("the server")))?;
    let lead = config.cluster.clone().map(Lead::new);
    let server = Arc::new(Server {
        runner: Runner::new(caller.clone(), lead.clone(), config.jobs, config.waiting),
        lead,
        catalog: Catalog::default(),
        memories: Recollection::default(),
        pool: pool::Pool::new(config.requests),
        runs: runs::Runs::open(&folder),
        access,
        gate: Gate::new(&folder),
        counts: http::Counts::default(),
        streams: pool::Pool::new(config.requests),
        alive: AtomicI64::new(caller.context.now().as_second()),
        began: caller.context.now(),
        schedules_changed: tokio::sync::Notify::new(),
        stopping: tokio::sync::watch::Sender::new(false),
        base: caller,
        preset: Arc::new(preset),
        config,
    });
    server.refresh();
    server.settle_jobs();
    if let Some(schedule) = &server.preset.schedule {
        let words = schedule.in_words();
        tracing::info!("databases without a schedule of their own are backed up as the environment says: {words}");
    }
    let outcome = runtime.block_on(listen(&server));
    runtime.shutdown_timeout(Duration::from_secs(2));
    if outcome.is_ok() {
        tracing::info!("stopped");
    }
    outcome
}

/// One server has a state folder.
fn hold(folder: &Path) -> Result<File, OpError> {
    let path = folder.join("server.lock");
    let file =
        File::options().write(true).create(true).truncate(false).open(&path).map_err(OpError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(ServeError::Taken { path: folder.to_owned() }.into()),
    }
}

async fn listen(server: &Arc<Server>) -> Result<(), OpError> {
    let address = server.config.listen;
    let fail = |source| ServeError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    let tls = match &server.config.tls {
        Some(tls) => Some((tls.clone(), certificate(tls).await?)),
        None => None,
    };
    let handle = axum_server::Handle::new();
    let service = routes::router(server).into_make_service_with_connect_info::<std::net::SocketAddr>();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let serving = match &tls {
        Some((_, rustls)) => {
            let mut serving = axum_server::from_tcp_rustls(listener, rustls.clone()).map_err(fail)?;
            bound_headers(serving.http_builder());
            tokio::spawn(serving.handle(handle.clone()).serve(service))
        }
        None => {
            let mut serving = axum_server::from_tcp(listener).map_err(fail)?;
            bound_headers(serving.http_builder());
            tokio::spawn(serving.handle(handle.clone()).serve(service))
        }
    };
    let part = server.lead.as_ref().map(|lead| lead.take_part(&server.base.context, format!("{scheme}://{bound}")));
    let scheduler = tokio::spawn(scheduler::run(Arc::clone(server)));
    let served = match server.catalog.entries().len() {
        1 => "1 database is".to_owned(),
        count => format!("{count} databases are"),
    };
    tracing::info!("{served} served at {scheme}://{bound}");
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    until_stop(server, tls).await;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    server.stopping.send_replace(true);
    handle.graceful_shutdown(Some(STOP_WITHIN));
    let runner = Arc::clone(&server.runner);
    let _ = tokio::task::spawn_blocking(move || runner.stop(STOP_WITHIN)).await;
    let _ = scheduler.await;
    let _ = serving.await;
    if let (Some(lead), Some(part)) = (&server.lead, part) {
        lead.step_down();
        let _ = tokio::task::spawn_blocking(move || part.join()).await;
    }
    Ok(())
}

fn bound_headers(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(HEADER_BYTES as u32).max_concurrent_streams(64);
}

/// Returns when the server is to stop. Meanwhile it looks after what needs a look now and then.
async fn until_stop(server: &Arc<Server>, tls: Option<(Tls, RustlsConfig)>) {
    let mut certificates = tls.map(|(tls, rustls)| (stamps(&tls), tls, rustls));
    let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 3);
    let (mut barked, mut looked) = (std::time::Instant::now(), std::time::Instant::now());
    while server.base.context.progress.check().is_ok() {
        tokio::time::sleep(LOOK_EVERY).await;
        server.runner.heed_cancels();
        let quiet = server.base.context.now().as_second() - server.alive.load(Relaxed);
        if watchdog.is_some_and(|every| barked.elapsed() >= every) && quiet < STUCK_AFTER_S {
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            barked = std::time::Instant::now();
        }
        if looked.elapsed() < Duration::from_secs(5) {
            continue;
        }
        looked = std::time::Instant::now();
        if let Some((seen, tls, rustls)) = &mut certificates
            && stamps(tls) != *seen
        {
            *seen = stamps(tls);
            match rustls.reload_from_pem_file(&tls.certificate, &tls.key).await {
                Ok(()) => tracing::info!("the certificate was read anew"),
                Err(error) => tracing::error!("the new certificate is not used: {error}"),
            }
        }
    }
}

async fn certificate(tls: &Tls) -> Result<RustlsConfig, OpError> {
    let read = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await;
    Ok(read.map_err(|source| ServeError::Certificate { path: tls.certificate.clone(), source })?)
}

fn stamps(tls: &Tls) -> [Option<(u64, std::time::SystemTime)>; 2] {
    [&tls.certificate, &tls.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

impl Server {
    /// Looks for databases anew; returns whether anything changed.
    pub(super) fn refresh(&self) -> bool {
        let (changed, faults) = self.catalog.refresh(&self.config, &self.base.context, &self.base.settings);
        for fault in &faults {
            tracing::warn!("{fault}");
        }
        changed
    }

    /// Says of jobs that a run before this one left that they were interrupted.
    fn settle_jobs(&self) {
        let mut homes: Vec<_> = self.catalog.entries().values().map(|entry| entry.home.clone()).collect();
        homes.sort();
        homes.dedup();
        for home in homes {
            let found =
                crate::workspace::Workspace::open(&home).map(|workspace| workspace.map(|found| found.settle_jobs()));
            match found {
                Ok(Some(Ok(jobs))) => jobs.iter().for_each(say_end),
                Ok(Some(Err(error))) | Err(error) => tracing::warn!("{error}"),
                Ok(None) => {}
            }
        }
    }

    /// The server itself, in the folder of a database: what it does on its own account may reach everything.
    pub(super) fn own_caller(&self, name: &Name) -> Result<Caller, OpError> {
        let (entry, _) = self.catalog.workspace(name)?;
        let context = Context { current_folder: entry.home, ..self.base.context.clone() };
        let database = Some(entry.handle.as_str().into());
        let runner = Arc::clone(&self.runner) as Arc<dyn jobs::JobQueue>;
        Ok(Caller { context, database, queue: Some(runner), ..self.base.clone() })
    }
}
