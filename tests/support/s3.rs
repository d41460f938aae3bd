//! The S3 server that `scripts/test.sh` starts.

#![allow(dead_code, unreachable_pub, reason = "every test file that includes this uses its own part of it")]

use std::path::Path;
use std::time::SystemTime;

use pagekeep::remote::{Environment, OpenOptions, Remote, RemoteUrl, open};

/// Where it is and who may use it.
#[derive(Clone, Debug)]
pub struct Server {
    pub endpoint: String,
    pub bucket: String,
    pub key: String,
    pub secret: String,
    /// Everything is put below this, so that one server serves many runs.
    pub folder: String,
}

impl Server {
    /// `None`, and a message, when none was started.
    pub fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(format!("PAGEKEEP_TEST_S3_{name}")).ok();
        let (Some(endpoint), Some(bucket), Some(key), Some(secret)) =
            (variable("ENDPOINT"), variable("BUCKET"), variable("KEY"), variable("SECRET"))
        else {
            println!("left out: no S3 server; scripts/test.sh starts one");
            return None;
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        Some(Self { endpoint, bucket, key, secret, folder: format!("{now:x}-{}", std::process::id()) })
    }

    /// The URL of a store there.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{}/{}/{prefix}?endpoint={}", self.bucket, self.folder, self.endpoint)
    }

    /// The environment that opens it.
    pub fn environment(&self) -> Environment {
        Environment::from_pairs([("AWS_ACCESS_KEY_ID", &self.key), ("AWS_SECRET_ACCESS_KEY", &self.secret)])
    }

    /// A store there.
    pub fn remote(&self, prefix: &str) -> Remote {
        self.remote_with(prefix, &OpenOptions::for_tests())
    }

    /// A store there, with more or less patience.
    pub fn remote_with(&self, prefix: &str, options: &OpenOptions) -> Remote {
        let url = RemoteUrl::parse(&self.url(prefix), Path::new("/")).unwrap();
        let opened = open(&url, &self.environment(), options).unwrap();
        Remote::new(opened.store, opened.prefix, &url.to_string())
    }
}
