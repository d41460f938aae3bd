//! Azurite, Microsoft's emulator of Azure Blob Storage, as a child of the test.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use pagekeep::remote::{Environment, OpenOptions, Remote, RemoteUrl, open};

/// The emulator's account and key, the same everywhere (Azure Storage, "Use the Azurite emulator").
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The one container that exists.
pub const CONTAINER: &str = "conformance";

/// A running emulator; it stops when this is dropped.
pub struct Azurite {
    child: Child,
    port: u16,
    /// Holds its data; removed after it.
    _folder: tempfile::TempDir,
}

impl Azurite {
    /// `None`, and a message, when it is not installed.
    pub fn start() -> Option<Self> {
        let Some(program) = find() else {
            println!("left out: azurite-blob is neither on PATH nor in target/node_modules/.bin");
            return None;
        };
        // Free a moment ago; should somebody else take it, the child ends and the next port is tried.
        (0..3).find_map(|_| Self::start_on(&program, free_port())).or_else(|| panic!("{program:?} does not start"))
    }

    fn start_on(program: &Path, port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location"])
            .arg(folder.path())
            .args(["--skipApiVersionCheck", "--disableTelemetry", "--silent"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut this = Self { child, port, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if this.child.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(60) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        this.create_container();
        Some(this)
    }

    /// A store in the container that exists.
    pub fn remote(&self, prefix: &str) -> Remote {
        self.remote_in(CONTAINER, prefix)
    }

    /// A store in any container.
    pub fn remote_in(&self, container: &str, prefix: &str) -> Remote {
        let port = self.port;
        let url = format!("az://{container}/{prefix}?account={ACCOUNT}&endpoint=http://127.0.0.1:{port}");
        let url = RemoteUrl::parse(&url, Path::new("/")).unwrap();
        let opened = open(&url, &Environment::default(), &OpenOptions::for_tests()).unwrap();
        Remote::new(opened.store, opened.prefix, &url.to_string())
    }

    /// Clients of objects cannot make containers: signed by theirs, sent by hand.
    fn create_container(&self) {
        let uri = format!("http://127.0.0.1:{}/{ACCOUNT}/{CONTAINER}?restype=container", self.port);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = "PUT".parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).unwrap());
        AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request).unwrap();
        let mut text = format!("PUT {} HTTP/1.1\r\n", request.uri().path_and_query().unwrap());
        text += &format!("host: 127.0.0.1:{}\r\ncontent-length: 0\r\nconnection: close\r\n", self.port);
        for (name, value) in request.headers() {
            text += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // Its data are thrown away: no need for a gentle end. An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node_modules/.bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([local]);
    folders.find_map(|folder| Some(folder.join("azurite-blob")).filter(|program| program.is_file()))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
