//! SeaweedFS in parts, as children of the test: a master, three volume servers that hold each object twice, a filer, S3.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The bucket; SeaweedFS makes it when it is written to first.
pub const BUCKET: &str = "bkt";
const KEY: &str = "testkey";
const SECRET: &str = "testsecret";
/// A busy machine with two cores took 9 s.
const READY: Duration = Duration::from_secs(60);

/// One process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Master,
    /// One of 0, 1 and 2.
    Volume(usize),
    Filer,
    S3,
}

/// In the order in which they start.
pub const PARTS: [Part; 6] = [Part::Master, Part::Volume(0), Part::Volume(1), Part::Volume(2), Part::Filer, Part::S3];

/// A running cluster; every part ends when this is dropped.
pub struct Cluster {
    program: PathBuf,
    folder: TempDir,
    /// Two for each part: HTTP and gRPC.
    ports: Vec<u16>,
    children: Vec<Option<Child>>,
}

impl Cluster {
    /// `None`, and a message, when SeaweedFS is not installed.
    pub fn start() -> Option<Self> {
        let program =
            std::env::var_os("PAGEKEEP_TEST_PYTHON").map(|python| PathBuf::from(python).with_file_name("weed"));
        let Some(program) = program.filter(|program| program.is_file()) else {
            println!("left out: no SeaweedFS; scripts/test.sh installs it");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("cluster-").tempdir_in("/var/tmp").unwrap();
        let actions = r#"["Admin","Read","List","Tagging","Write"]"#;
        let credentials = format!(r#"[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}]"#);
        let identities =
            format!(r#"{{"identities":[{{"name":"admin","credentials":{credentials},"actions":{actions}}}]}}"#);
        fs::write(folder.path().join("s3.json"), identities).unwrap();
        let mut this = Self { program, folder, ports: free_ports(12), children: (0..6).map(|_| None).collect() };
        this.start_all();
        Some(this)
    }

    /// Starts what does not run, and waits until objects can be written.
    pub fn start_all(&mut self) {
        for part in PARTS {
            self.start_part(part);
        }
        self.wait_until_ready();
    }

    /// Starts one part, with the data it had; it is not waited for.
    pub fn start_part(&mut self, part: Part) {
        let index = PARTS.iter().position(|other| *other == part).unwrap();
        if self.children[index].is_some() {
            return;
        }
        let home = self.folder.path().join(format!("{index}"));
        fs::create_dir_all(home.join("data")).unwrap();
        let log = fs::OpenOptions::new().create(true).append(true).open(home.join("log")).unwrap();
        let (http, grpc) = self.ports_of(part);
        let master = self.address(Part::Master);
        let mut command = Command::new(&self.program);
        command.args(["-logdir=.", name(part)]).args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        command.args([format!("-port={http}"), format!("-port.grpc={grpc}")]);
        match part {
            Part::Master => command
                .args(["-mdir=data", "-peers=none", "-defaultReplication=001"])
                .args(["-volumeSizeLimitMB=64", "-telemetry=false"]),
            Part::Volume(_) => {
                command.args(["-dir=data", "-max=30", "-minFreeSpace=1"]).arg(format!("-master={master}"))
            }
            Part::Filer => command.args(["-localSocket=filer.sock"]).arg(format!("-master={master}")),
            Part::S3 => command
                .args(["-config=../s3.json", "-autoCreateBucket=true", "-localSocket=s3.sock"])
                .args(["-port.iceberg=0", "-port.lance=0"])
                .arg(format!("-filer={}", self.address(Part::Filer))),
        };
        command.current_dir(&home).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children[index] = Some(command.spawn().unwrap());
        // Each looks for the one before when it starts, and again only after a while.
        wait_for(http);
    }

    /// Ends a part as a power cut does.
    pub fn kill(&mut self, part: Part) {
        let index = PARTS.iter().position(|other| *other == part).unwrap();
        if let Some(mut child) = self.children[index].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends all parts.
    pub fn kill_all(&mut self) {
        for part in PARTS.into_iter().rev() {
            self.kill(part);
        }
    }

    /// The port that speaks S3.
    pub fn s3_port(&self) -> u16 {
        self.ports_of(Part::S3).0
    }

    /// What a program needs in its environment.
    pub fn variables() -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)]
    }

    fn ports_of(&self, part: Part) -> (u16, u16) {
        let index = PARTS.iter().position(|other| *other == part).unwrap();
        (self.ports[2 * index], self.ports[2 * index + 1])
    }

    /// As the parts name each other: HTTP and gRPC.
    fn address(&self, part: Part) -> String {
        let (http, grpc) = self.ports_of(part);
        format!("127.0.0.1:{http}.{grpc}")
    }

    fn wait_until_ready(&self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/s3_put.py");
        let endpoint = format!("http://127.0.0.1:{}", self.s3_port());
        let begun = Instant::now();
        loop {
            let put =
                Command::new("python3").args([script, &endpoint, BUCKET, KEY, SECRET, ".ready"]).output().unwrap();
            if put.status.success() {
                return;
            }
            assert!(begun.elapsed() < READY, "the cluster takes no writes: {}", String::from_utf8_lossy(&put.stderr));
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            // An error says that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Master => "master",
        Part::Volume(_) => "volume",
        Part::Filer => "filer",
        Part::S3 => "s3",
    }
}

fn wait_for(port: u16) {
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < READY, "nobody listens at port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Free a moment ago, and below those that outgoing connections get. No two clusters of a process are given the same.
fn free_ports(count: usize) -> Vec<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let mut found = Vec::new();
    while found.len() < count {
        let next = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = 15_000 + ((std::process::id() % 500) as u16 * 32 + next) % 17_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            found.push(port);
        }
    }
    found
}
