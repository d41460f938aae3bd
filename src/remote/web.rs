//! HTTP as a client of one server: a request, and an answer whose body comes piece by piece. Blocking.
//!
//! Promises: no redirect is followed, since whoever it leads to is not who the request is for; a request ends when its caller
//! is asked to stop, and when nothing moved for as long as the caller waits.
//! Refuses to know: what is asked and answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate, Method, Response};
use tokio::io::AsyncReadExt;
use url::Url;

use super::open::install_tls;
use super::runtime;
use crate::base::Progress;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How often it is looked whether to go on.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// No connection came about: nothing was asked.
    #[error("{0}")]
    NotConnected(String),
    /// The server is not known to be who it says.
    #[error("{0}")]
    Certificate(String),
    /// The connection broke, or nothing came in time; the server may have done what was asked.
    #[error("{0}")]
    Broken(String),
    /// A certificate that was given cannot be one.
    #[error("{0}")]
    BadAuthority(String),
    /// Asked to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::base::progress::Cancelled),
}

/// What is sent with a request.
#[derive(Debug)]
pub enum WebBody {
    /// Nothing.
    Empty,
    /// JSON.
    Json(String),
    /// A file of so many bytes.
    File(std::fs::File, u64),
}

/// A client of one server.
#[derive(Clone, Debug)]
pub struct WebClient {
    client: reqwest::Client,
    patience: Duration,
    progress: Arc<Progress>,
}

/// An answer, of which the head has come.
#[derive(Debug)]
pub struct WebAnswer {
    response: Response,
    patience: Duration,
    progress: Arc<Progress>,
}

impl WebClient {
    /// A client that trusts the system's certificates and, besides, those in `authority`, in the PEM form. It gives up when
    /// nothing moved for `patience`. With `direct` no proxy of the environment is used.
    ///
    /// # Errors
    /// [`WebError::BadAuthority`] when a certificate cannot be understood.
    pub fn new(
        authority: Option<&[u8]>,
        patience: Duration,
        direct: bool,
        progress: Arc<Progress>,
    ) -> Result<Self, WebError> {
        install_tls();
        let bad = |error: reqwest::Error| WebError::BadAuthority(super::error::reason(&error));
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT).redirect(Policy::none());
        if direct {
            builder = builder.no_proxy();
        }
        if let Some(pem) = authority {
            let found = Certificate::from_pem_bundle(pem).map_err(bad)?;
            if found.is_empty() {
                return Err(WebError::BadAuthority("there is no certificate in it".into()));
            }
            builder = builder.tls_certs_merge(found);
        }
        Ok(Self { client: builder.build().map_err(bad)?, patience, progress })
    }

    /// The same client, which stops when this says so.
    pub fn with_progress(&self, progress: &Arc<Progress>) -> Self {
        Self { progress: Arc::clone(progress), ..self.clone() }
    }

    /// Sends a request, and waits for the head of its answer. The bytes of a file are counted while they go.
    ///
    /// # Errors
    /// [`WebError`]; an answer of any status is none.
    pub fn send(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&str, String)],
        body: WebBody,
    ) -> Result<WebAnswer, WebError> {
        let method = Method::from_bytes(method.as_bytes()).expect("BUG: a method of HTTP");
        let mut request = self.client.request(method, url.clone());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let moved = Arc::new(AtomicU64::new(0));
        request = match body {
            WebBody::Empty => request,
            WebBody::Json(text) => request.header("content-type", "application/json").body(text),
            WebBody::File(file, len) => request
                .header("content-type", "application/octet-stream")
                .header("content-length", len)
                .body(stream(file, Arc::clone(&self.progress), Arc::clone(&moved))),
        };
        let sent = wait(&self.progress, self.patience, &moved, async { request.send().await })?;
        let response = sent.map_err(|error| told(&error))?;
        Ok(WebAnswer { response, patience: self.patience, progress: Arc::clone(&self.progress) })
    }
}

impl WebAnswer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Bytes of the body, when the server says how many.
    pub fn len(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Whether the server says that there is no body.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`WebError::Broken`] when it ends too early.
    pub fn piece(&mut self) -> Result<Option<Bytes>, WebError> {
        let still = AtomicU64::new(0);
        let read = wait(&self.progress, self.patience, &still, self.response.chunk())?;
        read.map_err(|error| told(&error))
    }

    /// The whole body, as far as it has `most` bytes.
    ///
    /// # Errors
    /// [`WebError::Broken`] when it ends too early or is longer.
    pub fn bytes(mut self, most: usize) -> Result<Vec<u8>, WebError> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece()? {
            if all.len() + piece.len() > most {
                return Err(WebError::Broken(format!("the answer has more than {most} bytes")));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// A file as a body: read while it goes.
fn stream(file: std::fs::File, progress: Arc<Progress>, moved: Arc<AtomicU64>) -> Body {
    let file = tokio::fs::File::from_std(file);
    Body::wrap_stream(futures::stream::try_unfold((file, progress, moved), |(mut file, progress, moved)| async move {
        let mut piece = vec![0; PIECE];
        let len = file.read(&mut piece).await?;
        if len == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        piece.truncate(len);
        moved.fetch_add(len as u64, Relaxed);
        progress.done_bytes.fetch_add(len as u64, Relaxed);
        progress.moved_bytes.fetch_add(len as u64, Relaxed);
        Ok(Some((piece, (file, progress, moved))))
    }))
}

/// Waits, but no longer than `patience` without a byte, and not once it is asked to stop.
fn wait<T>(
    progress: &Progress,
    patience: Duration,
    moved: &AtomicU64,
    work: impl Future<Output = T>,
) -> Result<T, WebError> {
    runtime::block_on(async {
        tokio::pin!(work);
        let (mut seen, mut since) = (moved.load(Relaxed), Instant::now());
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK_EVERY, &mut work).await {
                return Ok(done);
            }
            progress.check()?;
            let now = moved.load(Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            if since.elapsed() >= patience {
                return Err(WebError::Broken(format!("nothing came for {} s", patience.as_secs())));
            }
        }
    })
}

/// The error without the address: people know it, and it may be long.
fn told(error: &reqwest::Error) -> WebError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    let reason = texts.last().cloned().unwrap_or_else(|| error.to_string());
    if texts.iter().any(|text| text.contains("certificate")) {
        WebError::Certificate(reason)
    } else if error.is_connect() {
        WebError::NotConnected(reason)
    } else {
        WebError::Broken(reason)
    }
}
