//! Progress on stderr: a bar on a terminal, elsewhere a plain line every ten seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::size;
use super::session::Session;
use crate::base::Progress;

/// Shows progress until dropped.
pub(crate) struct Shown {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Nothing is shown of what is over before this.
const PATIENCE: Duration = Duration::from_millis(400);
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Shown {
    pub(crate) fn start(session: &Session) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        if session.quiet() || session.globals.json {
            return Self { done, thread: None };
        }
        let (stop, progress, terminal) = (Arc::clone(&done), Arc::clone(&session.context.progress), session.terminal);
        let thread = std::thread::spawn(move || if terminal { bar(&stop, &progress) } else { lines(&stop, &progress) });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that only draws: its failure is nobody's.
            let _ = thread.join();
        }
    }
}

fn bar(stop: &AtomicBool, progress: &Progress) {
    std::thread::park_timeout(PATIENCE);
    if stop.load(Relaxed) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    let form = "{prefix} [{bar:30}] {bytes} of {total_bytes} @ {bytes_per_sec}, {eta} left{msg}";
    bar.set_style(ProgressStyle::with_template(form).expect("BUG: a constant template").progress_chars("=> "));
    while !stop.load(Relaxed) {
        bar.set_prefix(progress.phase().name());
        bar.set_length(progress.total_bytes.load(Relaxed));
        bar.set_position(progress.done_bytes.load(Relaxed));
        let saved = progress.reused_bytes.load(Relaxed);
        bar.set_message(if saved > 0 { format!(", {} already there", size(saved)) } else { String::new() });
        std::thread::park_timeout(Duration::from_millis(200));
    }
    bar.finish_and_clear();
}

fn lines(stop: &AtomicBool, progress: &Progress) {
    let started = Instant::now();
    loop {
        let next = Instant::now() + LINE_EVERY;
        while Instant::now() < next {
            if stop.load(Relaxed) {
                return;
            }
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
        let (done, total) = (progress.done_bytes.load(Relaxed), progress.total_bytes.load(Relaxed));
        let rate = done / started.elapsed().as_secs().max(1);
        let moved = progress.moved_bytes.load(Relaxed);
        eprintln!(
            "{}: {} of {} @ {}/s, {} moved, {} already there",
            progress.phase().name(),
            size(done),
            size(total),
            size(rate),
            size(moved),
            size(progress.reused_bytes.load(Relaxed)),
        );
    }
}
