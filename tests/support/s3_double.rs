//! A server that speaks as much of S3 as pagekeep needs, keeps objects in memory, and fails as it is told.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every answer has this status.
    Status(&'static str),
    /// Requests of this method get this status.
    StatusOf(&'static str, &'static str),
    /// There is no bucket.
    NoBucket,
    /// It takes requests and says nothing.
    Silence,
    /// Bodies of objects end in the middle.
    CutBody,
    /// Bodies of objects are other bytes, of the right length.
    WrongBody,
    /// Answers with a page of a portal, as hotels do.
    Portal,
    /// Listings end in the middle of their text.
    CutList,
    /// Listings say that there is more, and not how to get it.
    EndlessList,
    /// Listings leave out what came last.
    ShortList,
    /// Objects are replaced although the request forbids it.
    IgnoresConditions,
    /// Reads find nothing where something was listed.
    Forgets,
    /// Nothing may be deleted, as with credentials that may only add.
    DeniesDelete,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    last: Option<String>,
    /// How far its clock is off.
    skew: SignedDuration,
    requests: Vec<String>,
}

#[derive(Clone)]
struct Object {
    bytes: Vec<u8>,
    modified: Timestamp,
}

impl State {
    fn put(&mut self, key: String, bytes: Vec<u8>) {
        let modified = Timestamp::now() + self.skew;
        self.objects.insert(key, Object { bytes, modified });
    }
}

/// A running one. Its threads end with the process.
pub struct S3Double {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    fault: Arc<Mutex<Fault>>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl S3Double {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (state, fault) = (Arc::new(Mutex::new(State::default())), Arc::new(Mutex::new(Fault::None)));
        let (objects, told) = (Arc::clone(&state), Arc::clone(&fault));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (objects, told) = (Arc::clone(&objects), Arc::clone(&told));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    // A client that goes away is no concern of the server.
                    let _ = serve(&mut stream, &objects, &told);
                });
            }
        });
        Self { endpoint, state, fault }
    }

    /// From now on it fails like this.
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub fn url(&self) -> String {
        format!("s3://bkt/p?endpoint={}&region=us-east-1", self.endpoint)
    }

    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state.lock().unwrap();
        state.objects.iter().map(|(key, object)| (key.clone(), object.bytes.clone())).collect()
    }

    /// Puts an object as another client would.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.state.lock().unwrap().put(key.to_owned(), bytes.to_vec());
    }

    /// The object at this key was put so much earlier.
    pub fn age(&self, key: &str, hours: i64) {
        let mut state = self.state.lock().unwrap();
        let object = state.objects.get_mut(key).expect("an object that is there");
        object.modified -= SignedDuration::from_hours(hours);
    }

    /// From now on its clock is so far from ours.
    pub fn skew(&self, by: SignedDuration) {
        self.state.lock().unwrap().skew = by;
    }

    /// Method and path of the requests since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(stream: &mut TcpStream, state: &Mutex<State>, fault: &Mutex<Fault>) -> std::io::Result<()> {
    let request = read(stream)?;
    let fault = *fault.lock().unwrap();
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{} {}", request.method, request.path));
    let answer = match fault {
        Fault::Silence => {
            drop(state);
            std::thread::sleep(std::time::Duration::from_secs(60));
            return Ok(());
        }
        Fault::Status(status) => refuse(status),
        Fault::StatusOf(method, status) if method == request.method => refuse(status),
        Fault::NoBucket => error("404 Not Found", "NoSuchBucket", "The specified bucket does not exist"),
        Fault::Portal => plain("200 OK", "content-type: text/html\r\n", b"<html><body>Please log in</body></html>"),
        _ => answer(&request, &mut state, fault),
    };
    drop(state);
    stream.write_all(&answer)?;
    stream.flush()
}

fn answer(request: &Request, state: &mut State, fault: Fault) -> Vec<u8> {
    let key = request.path.strip_prefix("/bkt").unwrap_or("").trim_start_matches('/').to_owned();
    match request.method.as_str() {
        "GET" if key.is_empty() => list(request, state, fault),
        "GET" | "HEAD" => {
            let Some(found) =
                state.objects.get(&key).filter(|_| fault != Fault::Forgets || key.ends_with("store.json"))
            else {
                return error("404 Not Found", "NoSuchKey", "The specified key does not exist.");
            };
            object(request, found, fault, key.ends_with("store.json"))
        }
        "PUT" => {
            let guarded = request.headers.contains_key("if-none-match") && fault != Fault::IgnoresConditions;
            if guarded && state.objects.contains_key(&key) {
                return error("412 Precondition Failed", "PreconditionFailed", "it is there");
            }
            state.put(key.clone(), request.body.clone());
            state.last = Some(key);
            plain("200 OK", "etag: \"e\"\r\n", b"")
        }
        "DELETE" => {
            state.objects.remove(&key);
            plain("204 No Content", "", b"")
        }
        "POST" => {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let keys: Vec<&str> = body.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next()).collect();
            let mut text = String::from("<DeleteResult>");
            for key in keys {
                if fault == Fault::DeniesDelete {
                    let denied = "<Code>AccessDenied</Code><Message>Access Denied.</Message>";
                    text.push_str(&format!("<Error><Key>{key}</Key>{denied}</Error>"));
                    continue;
                }
                state.objects.remove(key);
                text.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
            }
            plain("200 OK", "", (text + "</DeleteResult>").as_bytes())
        }
        _ => error("405 Method Not Allowed", "MethodNotAllowed", "no"),
    }
}

fn object(request: &Request, found: &Object, fault: Fault, description: bool) -> Vec<u8> {
    let len = found.bytes.len();
    let modified = found.modified.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let mut headers = format!("etag: \"e\"\r\nlast-modified: {modified}\r\n");
    let (mut status, mut part) = ("200 OK", found.bytes.clone());
    if let Some(range) = request.headers.get("range") {
        let range = range.trim_start_matches("bytes=");
        let (first, last) = range.split_once('-').unwrap();
        let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, last.min(len.saturating_sub(1))),
            (Ok(first), Err(_)) => (first, len.saturating_sub(1)),
            (Err(_), Ok(last)) => (len.saturating_sub(last), len.saturating_sub(1)),
            _ => return error("400 Bad Request", "InvalidRange", range),
        };
        if first >= len {
            return error("416 Range Not Satisfiable", "InvalidRange", range);
        }
        part = found.bytes[first..=last].to_vec();
        status = "206 Partial Content";
        headers.push_str(&format!("content-range: bytes {first}-{last}/{len}\r\n"));
    }
    if fault == Fault::WrongBody && !description {
        part.iter_mut().for_each(|byte| *byte ^= 0x5a);
    }
    let mut answer = plain(status, &headers, &part);
    if request.method == "HEAD" {
        answer.truncate(answer.len() - part.len());
    } else if fault == Fault::CutBody && !description {
        answer.truncate(answer.len() - part.len() / 2 - 1);
    }
    answer
}

fn list(request: &Request, state: &State, fault: Fault) -> Vec<u8> {
    let prefix = request.query.get("prefix").cloned().unwrap_or_default();
    let after =
        request.query.get("start-after").or(request.query.get("continuation-token")).cloned().unwrap_or_default();
    let most: usize = request.query.get("max-keys").and_then(|text| text.parse().ok()).unwrap_or(1000);
    let found = state.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
    let mut found: Vec<_> =
        found.filter(|(key, _)| fault != Fault::ShortList || state.last.as_ref() != Some(key)).collect();
    let truncated = found.len() > most || fault == Fault::EndlessList;
    found.truncate(most);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>bkt</Name><Prefix>{prefix}</Prefix>\
         <KeyCount>{}</KeyCount><MaxKeys>{most}</MaxKeys><IsTruncated>{truncated}</IsTruncated>",
        found.len()
    );
    if let (true, Some((last, _))) = (truncated && fault != Fault::EndlessList, found.last()) {
        text.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
    }
    for (key, object) in found {
        text.push_str(&format!(
            "<Contents><Key>{key}</Key><LastModified>{}</LastModified><ETag>\"e\"</ETag><Size>{}</Size></Contents>",
            object.modified.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
            object.bytes.len()
        ));
    }
    text.push_str("</ListBucketResult>");
    let mut answer = plain("200 OK", "content-type: application/xml\r\n", text.as_bytes());
    if fault == Fault::CutList {
        answer.truncate(answer.len() - text.len() / 2);
    }
    answer
}

fn refuse(status: &'static str) -> Vec<u8> {
    error(status, status.split_once(' ').map_or("", |(_, words)| words), "as told")
}

fn error(status: &str, code: &str, message: &str) -> Vec<u8> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    plain(status, "content-type: application/xml\r\n", body.as_bytes())
}

fn plain(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn read(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let url = url::Url::parse(&format!("http://host{target}")).unwrap();
    let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    // Keys as they are sent: what matters is that one key is one text.
    let path = unescape(url.path());
    Ok(Request { method, path, query, headers, body })
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
            bytes.push(u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
