//! Opening: folders, what becomes of endpoints and regions, and credentials that arrive with a request.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use object_store::ObjectStoreExt;

use super::*;
use crate::remote::{CredentialError, credential_error};

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")];

fn options() -> OpenOptions {
    OpenOptions { retries: 0, create: false, ..OpenOptions::for_tests() }
}

fn try_open(url: &str, vars: &[(&str, &str)]) -> Result<OpenedStore, OpenError> {
    let url = RemoteUrl::parse(url, Path::new("/")).unwrap_or_else(|error| panic!("{url}: {error}"));
    open(&url, &Environment::from_pairs(vars.iter().copied()), &options())
}

fn refused(url: &str, vars: &[(&str, &str)]) -> String {
    match try_open(url, vars) {
        Ok(opened) => panic!("{url} was opened as {opened:?}"),
        Err(error) => {
            let shown = format!("{error:?}");
            assert!(!shown.contains("s3cr3t"), "{shown}");
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        }
    }
}

/// A server that gives every request this answer, and the addresses it is reached at.
fn server(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            // What was asked does not matter here, nor whether the client still listens.
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
        }
    });
    address
}

#[tokio::test]
async fn a_folder_is_made_only_when_asked() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a b/c%d");
    let url = RemoteUrl::from_path(&path, root.path()).unwrap();
    let env = Environment::default();
    let missing = open(&url, &env, &options()).unwrap_err();
    assert!(matches!(missing, OpenError::FolderMissing { .. }), "{missing}");
    assert!(!path.exists() && !path.parent().unwrap().exists());

    let opened = open(&url, &env, &OpenOptions { create: true, ..options() }).unwrap();
    opened.store.put(&"x/y".into(), "data".into()).await.unwrap();
    assert_eq!(std::fs::read(path.join("x/y")).unwrap(), b"data");
    assert_eq!(opened.prefix, object_store::path::Path::default());
    assert!(open(&url, &env, &options()).is_ok());

    std::fs::write(root.path().join("file"), "x").unwrap();
    let url = RemoteUrl::from_path(Path::new("file"), root.path()).unwrap();
    for create in [false, true] {
        let error = open(&url, &env, &OpenOptions { create, ..options() }).unwrap_err();
        assert!(matches!(error, OpenError::NotAFolder { .. }), "{error}");
    }
    let url = RemoteUrl::from_path(Path::new("file/below"), root.path()).unwrap();
    assert!(open(&url, &env, &OpenOptions { create: true, ..options() }).is_err());
}

#[test]
fn the_region_may_come_from_url_environment_or_profile_and_is_not_needed_with_an_endpoint() {
    let region = ("AWS_DEFAULT_REGION", "eu-west-1");
    assert!(try_open("s3://bkt/p?region=eu-west-1", &KEYS).is_ok());
    assert!(try_open("s3://bkt/p", &[KEYS[0], KEYS[1], region]).is_ok());
    assert!(try_open("s3://bkt/p?endpoint=http://127.0.0.1:1", &KEYS).is_ok());
    assert!(refused("s3://bkt/p", &KEYS).starts_with("no region for the bucket \"bkt\": add ?region="));
    assert!(refused("s3://bkt/p", &[KEYS[0], KEYS[1], ("AWS_REGION", "evil.example/")]).contains("refused"));
}

#[test]
fn an_endpoint_from_the_environment_obeys_the_same_rules() {
    let with = |name: &'static str, value: &'static str| [KEYS[0], KEYS[1], (name, value)];
    assert!(try_open("s3://bkt/p", &with("AWS_ENDPOINT_URL", "http://localhost:9000")).is_ok());
    assert!(try_open("s3://bkt/p", &with("AWS_ENDPOINT_URL_S3", "https://s3.example")).is_ok());
    let plain = refused("s3://bkt/p", &with("AWS_ENDPOINT_URL_S3", "http://s3.example"));
    assert!(plain.starts_with("the endpoint from AWS_ENDPOINT_URL_S3 is refused: the endpoint http://s3.example"));
    assert!(refused("s3://bkt/p", &with("AWS_ENDPOINT_URL", "https://u:s3cr3t@h")).contains("before '@'"));
    assert!(refused("gs://bkt/p", &[("STORAGE_EMULATOR_HOST", "10.0.0.1:80")]).contains("STORAGE_EMULATOR_HOST"));
}

#[test]
fn azure_needs_an_account() {
    let key = ("AZURE_STORAGE_ACCOUNT_KEY", "czNjcjN0");
    assert!(refused("az://box/p", &[key]).starts_with("no storage account for the container \"box\""));
    assert!(try_open("az://box/p?account=acct", &[key]).is_ok());
    assert!(refused("az://box/p", &[key, ("AZURE_STORAGE_ACCOUNT_NAME", "evil.example/")]).contains("refused"));
    let emulator = try_open("az://box/p", &[("AZURE_STORAGE_USE_EMULATOR", "true")]).unwrap();
    assert_eq!(emulator.credential_source, "the emulator's well-known key");
    assert_eq!(emulator.prefix.as_ref(), "p");
}

#[tokio::test]
async fn a_last_resort_that_does_not_answer_tells_everything_that_was_tried() {
    for (url, vars, expected) in [
        (
            "s3://bkt/p?region=x",
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")][..],
            "no credentials for S3 found; tried environment (AWS_ACCESS_KEY_ID is not set), profile",
        ),
        (
            "gs://bkt/p",
            &[("GCE_METADATA_HOST", "127.0.0.1:1")],
            "no credentials for Google Cloud Storage found; tried environment",
        ),
        (
            "az://box/p?account=acct",
            &[("AZURE_MSI_ENDPOINT", "http://127.0.0.1:1")],
            "no credentials for Azure found; tried environment",
        ),
    ] {
        let opened = try_open(url, vars).unwrap();
        let begun = std::time::Instant::now();
        let error = opened.store.get(&"x".into()).await.unwrap_err();
        let found = credential_error(&error).unwrap_or_else(|| panic!("{error:?}"));
        assert!(matches!(found, CredentialError::NotFound { source: Some(_), .. }), "{found:?}");
        assert!(found.to_string().starts_with(expected), "{found}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{url} took {:?}", begun.elapsed());
        assert_eq!(crate::remote::error::classify(&error), crate::remote::RemoteErrorKind::Credentials);
        assert!(crate::remote::error::reason(&error).starts_with(expected));
        let put = opened.store.put(&"x".into(), "y".into()).await.unwrap_err();
        assert!(credential_error(&put).is_some(), "{put:?}");
    }
}

#[tokio::test]
async fn credentials_that_arrive_are_used() {
    // A server that speaks no store's protocol still shows that the request went out with credentials.
    let answers = server("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>");
    let tokens = server("200 OK", r#"{"access_token":"t","expires_in":3600,"token_type":"Bearer"}"#);
    let url = format!("gs://bkt/p?endpoint=http://{answers}");
    let opened = try_open(&url, &[("GCE_METADATA_HOST", &tokens)]).unwrap();
    let error = opened.store.get(&"x".into()).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }), "{error:?}");

    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let command = r#"echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s3cr3t"}'"#;
    std::fs::write(home.path().join(".aws/config"), format!("[profile p]\ncredential_process = {command}\n")).unwrap();
    let env = Environment::default().with_home(home.path());
    let url = format!("s3://bkt/p?profile=p&endpoint=http://{answers}");
    let opened = open(&RemoteUrl::parse(&url, Path::new("/")).unwrap(), &env, &options()).unwrap();
    let error = opened.store.get(&"x".into()).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn a_service_that_refuses_is_named() {
    let refuses = server("403 Forbidden", "no");
    let token_file = tempfile::NamedTempFile::new().unwrap();
    let vars = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{refuses}/x")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token_file.path().display().to_string()),
    ];
    let url = RemoteUrl::parse("s3://bkt/p?region=x", Path::new("/")).unwrap();
    let opened = open(&url, &Environment::from_pairs(vars), &options()).unwrap();
    let error = opened.store.get(&"x".into()).await.unwrap_err();
    let found = credential_error(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(found.to_string(), "no credentials came from container (AWS_CONTAINER_CREDENTIALS_FULL_URI)");
}

#[tokio::test]
async fn retries_end_within_the_budget() {
    let busy = server("503 Slow Down", "");
    let url = RemoteUrl::parse(&format!("s3://bkt/p?endpoint=http://{busy}"), Path::new("/")).unwrap();
    let options = OpenOptions { retries: 2, ..options() };
    let opened = open(&url, &Environment::from_pairs(KEYS), &options).unwrap();
    let begun = std::time::Instant::now();
    let error = opened.store.get(&"x".into()).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn certificates_of_a_private_authority_must_be_readable() {
    let vars = [KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", "/does/not/exist")];
    assert!(refused("s3://bkt/p?region=x", &vars).contains("/does/not/exist (AWS_CA_BUNDLE)"));
}
