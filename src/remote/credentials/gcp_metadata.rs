//! The metadata server of a machine in Google's cloud, which hands out tokens.
//!
//! Contract: Compute Engine, "Authenticate workloads using service accounts": a GET with the header
//! `Metadata-Flavor: Google` gives `access_token` and `expires_in` in seconds.
//! It is asked here and not by `object_store`, which would read the process's environment to find
//! it and the home folder before that.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use object_store::gcp::GcpCredential;
use serde_json::Value;

use super::refresh::Fetch;
use super::{BoxError, CredentialError, key};
use crate::remote::Environment;

/// The server answers from the same host: what takes longer is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
/// The server's addresses: by name, and for a machine without working name resolution.
const HOSTS: [&str; 2] = ["metadata.google.internal", "169.254.169.254"];

/// Where the server is.
#[derive(Debug)]
pub(super) struct MetadataServer {
    hosts: Vec<String>,
}

impl MetadataServer {
    pub(super) fn new(env: &Environment) -> Self {
        let hosts = match env.first(&["GCE_METADATA_HOST", "GCE_METADATA_ROOT"]) {
            Some((_, host)) => vec![host.to_owned()],
            None => HOSTS.map(str::to_owned).to_vec(),
        };
        Self { hosts }
    }

    /// The server for people.
    pub(super) fn origin(&self) -> String {
        format!("metadata server ({})", self.hosts.join(", "))
    }

    async fn ask(&self, client: &reqwest::Client, host: &str) -> Result<(GcpCredential, Option<Timestamp>), BoxError> {
        let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
        let asked = Timestamp::now();
        let response = client.get(url).header("Metadata-Flavor", "Google").send().await?.error_for_status()?;
        let json: Value = serde_json::from_slice(&response.bytes().await?)
            .map_err(|_| format!("{host} answered with something that is not JSON"))?;
        let token = json.get("access_token").and_then(Value::as_str);
        let lifetime = json.get("expires_in").and_then(Value::as_u64).and_then(|seconds| i64::try_from(seconds).ok());
        let (Some(token), Some(lifetime)) = (token, lifetime) else {
            return Err(format!("{host} answered without access_token or expires_in").into());
        };
        let bearer = key(token, host, "access_token")?;
        let expires = asked.checked_add(SignedDuration::from_secs(lifetime)).ok();
        Ok((GcpCredential { bearer }, expires))
    }
}

#[async_trait]
impl Fetch for MetadataServer {
    type Credential = GcpCredential;

    async fn fetch(&self) -> Result<(GcpCredential, Option<Timestamp>), CredentialError> {
        let failed = |source: BoxError| CredentialError::Fetch { origin: self.origin(), source };
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|source| failed(source.into()))?;
        let mut last: Option<BoxError> = None;
        for host in &self.hosts {
            match self.ask(&client, host).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => last = Some(error),
            }
        }
        Err(failed(last.unwrap_or_else(|| "no address of it is known".into())))
    }
}
