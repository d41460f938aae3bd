//! Places that refuse, that are not there, that do not answer.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pagekeep::remote::{OpenOptions, Remote, RemoteError, RemoteErrorKind};

use crate::canned::Canned;
use crate::s3::Server;
use crate::{azurite, remote};

const AWS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "testkey"), ("AWS_SECRET_ACCESS_KEY", "testsecret")];

/// Every verb at once, and the kinds of their errors; `None` for those that did not fail.
fn kinds(remote: &Remote) -> [Option<RemoteErrorKind>; 6] {
    fn kind<T>(result: Result<T, RemoteError>) -> Option<RemoteErrorKind> {
        result.err().map(|error| {
            assert!(!error.reason.is_empty() && !error.reason.contains('\n'), "{error:?}");
            error.kind
        })
    }
    [
        kind(remote.put_new("x", "1")),
        kind(remote.get("x", 10)),
        kind(remote.get_range("x", 0..1)),
        kind(remote.list("")),
        kind(remote.exists("x")),
        kind(remote.delete("x")),
    ]
}

fn impatient() -> OpenOptions {
    OpenOptions { retries: 0, request_timeout: Duration::from_secs(1), ..OpenOptions::for_tests() }
}

#[test]
fn wrong_credentials_are_told_from_everything_else() {
    let Some(server) = Server::from_environment() else { return };
    let forged = Server { secret: "other".to_owned(), ..server.clone() };
    let unknown = Server { key: "nobody".to_owned(), ..server };
    for server in [forged, unknown] {
        let begun = Instant::now();
        assert_eq!(kinds(&server.remote("x")), [Some(RemoteErrorKind::Credentials); 6]);
        // A refusal is no reason to try again.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_missing_bucket_is_no_empty_one() {
    let Some(server) = Server::from_environment() else { return };
    let remote = Server { bucket: "missing".to_owned(), ..server }.remote("x");
    let not_found = Some(RemoteErrorKind::NotFound);
    let [put, get, get_range, list, ..] = kinds(&remote);
    assert_eq!([put, get, get_range, list], [not_found; 4]);
    let error = remote.list("").unwrap_err();
    assert!(error.reason.contains("NoSuchBucket"), "{error}");
}

#[test]
fn a_missing_folder_is_no_empty_one() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("gone");
    std::fs::create_dir(&folder).unwrap();
    let remote = Remote::folder(&folder).unwrap();
    assert_eq!(remote.list("").unwrap(), []);
    std::fs::remove_dir(&folder).unwrap();
    assert_eq!(remote.list("").unwrap_err().kind, RemoteErrorKind::NotFound);
    assert_eq!(remote.list_first("packs", 1).unwrap_err().kind, RemoteErrorKind::NotFound);
    assert!(Remote::folder(&folder).is_err());
}

#[test]
fn nobody_listening_is_told_in_time() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let key_file = tempfile::NamedTempFile::new().unwrap();
    let key = r#"{"disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#;
    std::fs::write(key_file.path(), key).unwrap();
    let google = [("GOOGLE_APPLICATION_CREDENTIALS", key_file.path().to_str().unwrap())];
    let options = OpenOptions::for_tests();
    for remote in [
        remote(&format!("s3://bkt/x?endpoint={endpoint}"), &AWS, &options),
        remote(&format!("gs://bkt/x?endpoint={endpoint}"), &google, &options),
        remote(&format!("az://bkt/x?account=devstoreaccount1&endpoint={endpoint}"), &[], &options),
    ] {
        let begun = Instant::now();
        let error = remote.get("x", 10).unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Unavailable, "{error:?}");
        let took = begun.elapsed();
        println!("{}: {took:.2?}, {error}", remote.name());
        assert!(took < options.retry_budget + options.connect_timeout, "{took:?}");
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Canned::start("");
    let remote = remote(&format!("s3://bkt/x?endpoint={}", server.endpoint), &AWS, &impatient());
    let begun = Instant::now();
    assert_eq!(remote.get("x", 10).unwrap_err().kind, RemoteErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_status_says_what_to_do() {
    for (status, kind) in [
        ("401 Unauthorized", RemoteErrorKind::Credentials),
        ("403 Forbidden", RemoteErrorKind::Credentials),
        ("429 Too Many Requests", RemoteErrorKind::Unavailable),
        ("500 Internal Server Error", RemoteErrorKind::Unavailable),
        ("503 Slow Down", RemoteErrorKind::Unavailable),
    ] {
        let server = Canned::status(status);
        let remote = remote(&format!("s3://bkt/x?endpoint={}", server.endpoint), &AWS, &impatient());
        assert_eq!(kinds(&remote), [Some(kind); 6], "{status}");
        assert_eq!(server.requests(), 6, "{status}");
    }
}

#[test]
fn a_refusal_for_now_is_tried_again() {
    for status in ["429 Too Many Requests", "500 Internal Server Error"] {
        let server = Canned::status(status);
        let options = OpenOptions { retries: 2, ..OpenOptions::for_tests() };
        let remote = remote(&format!("s3://bkt/x?endpoint={}", server.endpoint), &AWS, &options);
        assert_eq!(remote.put_new("x", "1").unwrap_err().kind, RemoteErrorKind::Unavailable);
        assert_eq!(server.requests(), 3, "{status}");
        // What was asked for counts once.
        assert_eq!(remote.counts().put, 1);
    }
}

#[test]
fn a_body_that_is_cut_is_no_body() {
    let head =
        "HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"1\"\r\nlast-modified: Sat, 21 Nov 2026 03:00:00 GMT\r\n";
    let answers = [
        // Cut in the middle.
        format!("{head}content-length: 100\r\n\r\n{}", "x".repeat(50)),
        // Cut before it begins.
        format!("{head}content-length: 100\r\n\r\n"),
        // Of unknown length.
        format!("{head}\r\n{}", "x".repeat(50)),
        // Not an answer at all.
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
    ];
    for answer in answers {
        let server = Canned::start(answer.clone());
        let remote = remote(&format!("s3://bkt/x?endpoint={}", server.endpoint), &AWS, &impatient());
        let error = remote.get("x", 1000).unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Unavailable, "{answer:?}: {error:?}");
        assert_eq!(remote.counts().received_bytes, 0);
        // It has no part of a body to give, and says so.
        assert!(remote.get_range("x", 0..50).is_err());
        assert!(remote.get_tail("x", 50).is_err());
    }
}

#[test]
fn an_answer_to_another_question_is_wrong() {
    let head = "connection: close\r\netag: \"1\"\r\nlast-modified: Sat, 21 Nov 2026 03:00:00 GMT\r\n";
    let opened = |answer: String| {
        let server = Canned::start(answer);
        remote(&format!("s3://bkt/x?endpoint={}", server.endpoint), &AWS, &impatient())
    };
    let partial = |range: &str| opened(format!("HTTP/1.1 206 X\r\n{head}{range}content-length: 4\r\n\r\nbody"));
    let whole = opened(format!("HTTP/1.1 200 OK\r\n{head}content-length: 4\r\n\r\nbody"));
    assert_eq!(whole.get("x", 10).unwrap(), "body");
    for (what, remote) in [
        ("the whole", whole),
        ("another part", partial("content-range: bytes 3-6/10\r\n")),
        ("a part of nothing", partial("content-range: bytes 0-3/0\r\n")),
        ("some part", partial("")),
        ("nonsense", partial("content-range: bytes x\r\n")),
    ] {
        let kind = |error: RemoteError| error.kind;
        assert_eq!(remote.get_range("x", 1..5).map_err(kind), Err(RemoteErrorKind::WrongAnswer), "{what}");
        assert_eq!(remote.get_tail("x", 4).map_err(kind), Err(RemoteErrorKind::WrongAnswer), "{what}");
    }
    // As networks answer that want a visitor to log in first.
    let page = opened("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\n<p>Hello!".to_owned());
    assert_eq!(page.list("").unwrap_err().kind, RemoteErrorKind::WrongAnswer);
}

#[test]
fn azure_without_a_container_is_an_error() {
    let Some(server) = azurite::Azurite::start() else { return };
    let remote = server.remote_in("missing", "x");
    let not_found = Some(RemoteErrorKind::NotFound);
    let [put, get, get_range, list, ..] = kinds(&remote);
    assert_eq!([put, get, get_range, list], [not_found; 4]);
}
