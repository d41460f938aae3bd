//! A double of Google Cloud Storage's XML API, as far as `object_store` speaks it.
//!
//! Promises: objects in memory; a create (`x-goog-if-generation-match: 0`) has one winner; every new
//! content has a new generation; listings are in order of bytes, page by page; a request log, so
//! that tests can count. Contract: Cloud Storage, "XML API reference". Not there: authentication,
//! checksums, object versions, access rules.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use tokio::sync::oneshot;

/// The one bucket that exists.
pub const BUCKET: &str = "bkt";

/// A running double; it stops when this is dropped.
pub struct GcsDouble {
    /// `http://127.0.0.1:PORT`.
    pub base_url: String,
    bucket: Arc<Mutex<Bucket>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl GcsDouble {
    /// Starts one whose listings have at most 1000 entries a page, as the real one's.
    pub fn start() -> Self {
        Self::start_with_page_size(1000)
    }

    /// Starts one with small pages, so that a test gets several of them.
    pub fn start_with_page_size(page_size: usize) -> Self {
        let bucket = Arc::new(Mutex::new(Bucket { page_size, ..Bucket::default() }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let router = Router::new().fallback(answer).with_state(bucket.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                // Not a graceful end: that would wait for connections that clients keep open.
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { base_url, bucket, stop: Some(stop), thread: Some(thread) }
    }

    /// A key file for `GOOGLE_APPLICATION_CREDENTIALS` that leads to this double.
    pub fn service_account_json(&self) -> String {
        format!(
            r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#,
            self.base_url
        )
    }

    /// The requests since the last call, as `METHOD key?query`, in order of arrival.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.bucket).requests)
    }

    /// How many multipart uploads have begun and neither ended nor been given up.
    pub fn open_uploads(&self) -> usize {
        lock(&self.bucket).uploads.len()
    }
}

impl Drop for GcsDouble {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been shown by its own thread.
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<u32, Object>>,
    last_generation: u64,
    page_size: usize,
    requests: Vec<String>,
}

#[derive(Clone)]
struct Object {
    data: Bytes,
    generation: u64,
    modified: jiff::Timestamp,
}

impl Object {
    fn etag(&self) -> String {
        format!("\"{:08x}\"", self.generation)
    }
}

impl Bucket {
    fn object(&mut self, data: Bytes) -> Object {
        self.last_generation += 1;
        Object { data, generation: self.last_generation, modified: jiff::Timestamp::now() }
    }
}

/// A request, taken apart.
struct Request<'a> {
    key: String,
    query: BTreeMap<String, String>,
    headers: &'a HeaderMap,
    body: Bytes,
}

impl Request<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap()
}

async fn answer(
    State(bucket): State<Arc<Mutex<Bucket>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return error(StatusCode::BAD_REQUEST, "IncompleteBody");
    };
    let (name, key) = uri.path()[1..].split_once('/').unwrap_or((&uri.path()[1..], ""));
    let (name, key) = (decode(name), decode(key));
    let query = uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut bucket = lock(&bucket);
    let log = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    bucket.requests.push(format!("{method} {key}{log}"));
    if name != BUCKET {
        return error(StatusCode::NOT_FOUND, "NoSuchBucket");
    }
    let request = Request { key, query, headers: &headers, body };
    match (method.as_str(), request.query("uploadId"), request.key.is_empty()) {
        ("GET", None, true) => list(&bucket, &request),
        ("GET" | "HEAD", None, false) => get(&bucket, &request, method == Method::HEAD),
        ("PUT", None, false) => put(&mut bucket, request),
        ("PUT", Some(_), false) => put_part(&mut bucket, request),
        ("POST", None, false) if request.query("uploads").is_some() => initiate(&mut bucket, &request),
        ("POST", Some(_), false) => complete(&mut bucket, &request),
        ("DELETE", Some(id), false) => match bucket.uploads.remove(id) {
            Some(_) => respond(StatusCode::NO_CONTENT, &[], Bytes::new()),
            None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        },
        ("DELETE", None, false) => match bucket.objects.remove(&request.key) {
            Some(_) => respond(StatusCode::NO_CONTENT, &[], Bytes::new()),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        _ => error(StatusCode::BAD_REQUEST, "InvalidArgument"),
    }
}

fn put(bucket: &mut Bucket, request: Request<'_>) -> Response<Body> {
    if let Some(wanted) = request.header("x-goog-if-generation-match") {
        // 0 means that there must be no object (request header reference of the XML API).
        let found = bucket.objects.get(&request.key).map_or(0, |object| object.generation);
        if wanted != found.to_string() {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
    }
    if request.header("x-goog-copy-source").is_some() {
        return error(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    }
    let object = bucket.object(request.body);
    let response = respond(StatusCode::OK, &version(&object), Bytes::new());
    bucket.objects.insert(request.key, object);
    response
}

fn get(bucket: &Bucket, request: &Request<'_>, head: bool) -> Response<Body> {
    let Some(object) = bucket.objects.get(&request.key) else {
        return error(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    let size = object.data.len();
    let mut headers = version(object);
    let modified = jiff::fmt::rfc2822::to_string(&object.modified.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
    headers.push(("last-modified", modified));
    if head {
        headers.push(("content-length", size.to_string()));
        return respond(StatusCode::OK, &headers, Bytes::new());
    }
    let Some(range) = request.header("range") else {
        return respond(StatusCode::OK, &headers, object.data.clone());
    };
    match parse_range(range, size) {
        Some((start, end)) => {
            headers.push(("content-range", format!("bytes {start}-{}/{size}", end - 1)));
            respond(StatusCode::PARTIAL_CONTENT, &headers, object.data.slice(start..end))
        }
        None => error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
    }
}

/// `bytes=2-5`, `bytes=2-` and `bytes=-5` (RFC 9110, section 14.1.2) as start and end, end excluded.
fn parse_range(range: &str, size: usize) -> Option<(usize, usize)> {
    let (start, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (start, last) {
        ("", length) => (size.saturating_sub(length.parse().ok()?), size),
        (start, "") => (start.parse().ok()?, size),
        (start, last) => (start.parse().ok()?, last.parse::<usize>().ok()?.checked_add(1)?.min(size)),
    };
    (start < end).then_some((start, end))
}

fn list(bucket: &Bucket, request: &Request<'_>) -> Response<Body> {
    let prefix = request.query("prefix").unwrap_or_default();
    let delimiter = request.query("delimiter").filter(|delimiter| !delimiter.is_empty());
    let after = request.query("continuation-token").or(request.query("start-after")).unwrap_or_default();
    let asked = request.query("max-keys").and_then(|keys| keys.parse().ok()).unwrap_or(usize::MAX);
    let page_size = bucket.page_size.min(asked);
    let (mut contents, mut prefixes) = (Vec::new(), Vec::<String>::new());
    let (mut last, mut token) = (String::new(), None);
    let range = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
    for (key, object) in bucket.objects.range::<String, _>(range) {
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        let folder = delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()));
        let folder = folder.map(|end| format!("{prefix}{}", &rest[..end]));
        if let Some(folder) = &folder {
            // Told already, on this page or on the one that ended with it.
            if prefixes.last() == Some(folder) || after.starts_with(folder.as_str()) {
                last.clone_from(key);
                continue;
            }
        }
        if contents.len() + prefixes.len() == page_size {
            token = Some(last);
            break;
        }
        last.clone_from(key);
        match folder {
            Some(folder) => prefixes.push(folder),
            None => contents.push(format!(
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                escape(key),
                object.modified,
                escape(&object.etag()),
                object.data.len()
            )),
        }
    }
    let mut xml = format!("<ListBucketResult><IsTruncated>{}</IsTruncated>{}", token.is_some(), contents.concat());
    for folder in &prefixes {
        xml += &format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(folder));
    }
    if let Some(token) = token {
        xml += &format!("<NextContinuationToken>{}</NextContinuationToken>", escape(&token));
    }
    respond(StatusCode::OK, &[], Bytes::from(xml + "</ListBucketResult>"))
}

fn initiate(bucket: &mut Bucket, request: &Request<'_>) -> Response<Body> {
    bucket.last_generation += 1;
    let id = format!("upload-{}", bucket.last_generation);
    bucket.uploads.insert(id.clone(), BTreeMap::new());
    let xml = format!(
        "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         </InitiateMultipartUploadResult>",
        escape(&request.key)
    );
    respond(StatusCode::OK, &[], Bytes::from(xml))
}

fn put_part(bucket: &mut Bucket, request: Request<'_>) -> Response<Body> {
    let number = request.query("partNumber").and_then(|number| number.parse().ok());
    let id = request.query("uploadId").unwrap_or_default().to_owned();
    let part = bucket.object(request.body);
    let response = respond(StatusCode::OK, &version(&part), Bytes::new());
    match (bucket.uploads.get_mut(&id), number) {
        (None, _) => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        (Some(_), None) => error(StatusCode::BAD_REQUEST, "InvalidArgument"),
        (Some(parts), Some(number)) => {
            parts.insert(number, part);
            response
        }
    }
}

/// Joins the parts that the body lists, in its order, each with the ETag that its upload gave.
fn complete(bucket: &mut Bucket, request: &Request<'_>) -> Response<Body> {
    let id = request.query("uploadId").unwrap_or_default();
    let Some(parts) = bucket.uploads.get(id) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload");
    };
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let mut data = Vec::new();
    for listed in body.split("<Part>").skip(1) {
        let number = element(listed, "PartNumber").and_then(|number| number.parse().ok());
        let part = number.and_then(|number: u32| parts.get(&number));
        match part.filter(|part| element(listed, "ETag") == Some(part.etag())) {
            Some(part) => data.extend_from_slice(&part.data),
            None => return error(StatusCode::BAD_REQUEST, "InvalidPart"),
        }
    }
    if data.is_empty() {
        return error(StatusCode::BAD_REQUEST, "MalformedXML");
    }
    bucket.uploads.remove(id);
    let object = bucket.object(Bytes::from(data));
    let etag = escape(&object.etag());
    let headers = version(&object);
    bucket.objects.insert(request.key.clone(), object);
    let xml = format!("<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>");
    respond(StatusCode::OK, &headers, Bytes::from(xml))
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.replace("&quot;", "\"").replace("&amp;", "&"))
}

fn version(object: &Object) -> Vec<(&'static str, String)> {
    vec![("etag", object.etag()), ("x-goog-generation", object.generation.to_string())]
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    respond(status, &[], Bytes::from(format!("<Error><Code>{code}</Code></Error>")))
}

fn respond(status: StatusCode, headers: &[(&str, String)], body: Bytes) -> Response<Body> {
    let response = Response::builder().status(status);
    headers.iter().fold(response, |response, (name, value)| response.header(*name, value)).body(body.into()).unwrap()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn decode(text: &str) -> String {
    // A path has no `+` for a space: escape it before decoding as a form.
    let text = text.replace('+', "%2B");
    url::form_urlencoded::parse(text.replace('=', "%3D").replace('&', "%26").as_bytes())
        .next()
        .map(|(key, _)| key.into_owned())
        .unwrap_or_default()
}
