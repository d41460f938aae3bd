//! What every remote promises, written once and held against every kind of place: memory, a folder, S3, Google Cloud
//! Storage, Azure.
//!
//! S3 is a server that `scripts/test.sh` starts; Azure is Azurite, when it is installed
//! (`npm i --ignore-scripts --prefix target azurite`); Google's is a double. What is not there is left out, with a
//! message.

#[path = "support/azurite.rs"]
mod azurite;
#[path = "support/canned.rs"]
mod canned;
#[path = "conformance/failures.rs"]
mod failures;
#[path = "support/gcs.rs"]
mod gcs;
#[path = "conformance/listings.rs"]
mod listings;
#[path = "conformance/objects.rs"]
mod objects;
#[path = "support/s3.rs"]
mod s3;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pagekeep::remote::double::{FaultyObjects, Plan};
use pagekeep::remote::{Environment, OpenOptions, Remote, RemoteUrl, open};

/// One promise; the remote holds nothing when it is called.
type Rule = (&'static str, fn(&Remote));

/// Names each function after itself.
macro_rules! rules {
    ($($rule:ident),* $(,)?) => { &[$((stringify!($rule), $rule as fn(&pagekeep::remote::Remote))),*] };
}
use rules;

/// Tries every rule at a place of its own, and tells all that are broken.
fn hold(open: impl Fn(&str) -> Remote) {
    let mut broken = Vec::new();
    for (name, rule) in objects::RULES.iter().chain(listings::RULES) {
        let begun = Instant::now();
        let remote = open(name);
        if catch_unwind(AssertUnwindSafe(|| rule(&remote))).is_err() {
            broken.push(name);
        }
        println!("{:6.2} s  {name}", begun.elapsed().as_secs_f64());
    }
    assert!(broken.is_empty(), "broken here: {broken:?}");
}

/// A remote by its URL, with nothing in the environment but this.
fn remote(url: &str, environment: &[(&str, &str)], options: &OpenOptions) -> Remote {
    let url = RemoteUrl::parse(url, Path::new("/")).unwrap();
    let env = Environment::from_pairs(environment.iter().copied());
    let opened = open(&url, &env, options).unwrap();
    Remote::new(opened.store, opened.prefix, &url.to_string())
}

#[test]
fn memory() {
    hold(|_| Remote::memory());
}

#[test]
fn memory_under_a_prefix() {
    let shared = Remote::memory();
    hold(|rule| Remote::new(shared.objects(), format!("deep/{rule}").into(), "memory:"));
}

#[test]
fn double_without_faults() {
    hold(|_| {
        let double = FaultyObjects::new(Remote::memory().objects(), Plan::new());
        Remote::new(Arc::new(double), "double".into(), "double:")
    });
}

#[test]
fn folder() {
    let temp = tempfile::tempdir().unwrap();
    hold(|rule| {
        let folder = temp.path().join(rule);
        std::fs::create_dir(&folder).unwrap();
        Remote::folder(&folder).unwrap()
    });
    // A put writes to a file beside the object first; none of them may stay.
    let files = walkdir::WalkDir::new(temp.path()).into_iter().map(Result::unwrap);
    let left: Vec<_> = files.map(|file| file.path().to_owned()).filter(|path| path_text(path).contains('#')).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn path_text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn s3() {
    let Some(server) = s3::Server::from_environment() else { return };
    hold(|rule| server.remote(rule));
}

#[test]
fn gcs() {
    let double = gcs::GcsDouble::start();
    hold(|rule| gcs_remote(&double, rule));
    requests_over_the_wire(&double);
}

#[test]
fn azure() {
    let Some(server) = azurite::Azurite::start() else { return };
    hold(|rule| server.remote(rule));
    // It knows no tails: the length comes first.
    let remote = server.remote("tail");
    remote.put_new("x", "12345").unwrap();
    assert_eq!(remote.get_tail("x", 2).unwrap(), ("45".into(), 5));
    let counts = remote.counts();
    assert_eq!((counts.get, counts.head, counts.received_bytes), (1, 1, 2));
}

fn gcs_remote(double: &gcs::GcsDouble, prefix: &str) -> Remote {
    let key_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key_file.path(), double.service_account_json()).unwrap();
    let credentials = ("GOOGLE_APPLICATION_CREDENTIALS", key_file.path().to_str().unwrap());
    remote(&format!("gs://{}/{prefix}", gcs::BUCKET), &[credentials], &OpenOptions::for_tests())
}

/// What is counted as one request is one on the wire; a listing is one for each thousand entries.
fn requests_over_the_wire(double: &gcs::GcsDouble) {
    let remote = gcs_remote(double, "wire");
    listings::fill(&remote, "many", 2100);
    double.take_requests();
    let of = |call: &dyn Fn()| {
        call();
        double.take_requests().len()
    };
    assert_eq!(of(&|| assert!(remote.put_new("x", "12345").is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.put_new("x", "1").is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.get("x", 5).is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.get("missing", 5).is_err())), 1);
    assert_eq!(of(&|| assert!(remote.get_range("x", 1..2).is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.get_tail("x", 2).is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.exists("x").is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.list_first("many", 1000).is_ok())), 1);
    assert_eq!(of(&|| assert!(remote.list_first("many", 1001).is_ok())), 2);
    assert_eq!(of(&|| assert!(remote.list("many").is_ok())), 3);
    assert_eq!(of(&|| remote.delete("x").unwrap()), 1);
}
