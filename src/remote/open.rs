//! From an address to a store that answers: client settings, endpoint, credentials.
//!
//! Promises: nothing is contacted and, unless asked, nothing is created; plain HTTP is spoken only to
//! this machine or where the URL allows it, whoever named the endpoint; no request is retried for
//! longer than the caller says.
//! Refuses to know: what lies under the prefix.

mod error;
mod options;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::{Certificate, ObjectStore};

use super::credentials::aws::AwsSettings;
use super::credentials::azure::AzureSettings;
use super::credentials::gcp::GcpSettings;
use super::url::{has_no_subdomains, parse_endpoint};
use super::{AzureAddress, Environment, GcsAddress, RemoteKind, RemoteUrl, S3Address};

pub use error::OpenError;
pub use options::OpenOptions;

/// A store that was opened.
#[derive(Debug, Clone)]
pub struct OpenedStore {
    /// The bucket, container or folder.
    pub store: Arc<dyn ObjectStore>,
    /// Where in it the store's keys begin; empty for a folder, which is the store itself.
    pub prefix: object_store::path::Path,
    /// Where the credentials come from, for people; never a secret. `environment
    /// (AWS_ACCESS_KEY_ID)`, `profile "backup" in ~/.aws/credentials`, `file permissions`.
    pub credential_source: String,
}

/// Opens the store at `url` without contacting it.
///
/// Credentials that a service hands out are fetched with the first request; should that fail,
/// [`credential_error`](super::credential_error) finds the reason in the request's error.
///
/// # Errors
/// [`OpenError`]: the folder is missing, or credentials, region or endpoint are missing or refused.
pub fn open(url: &RemoteUrl, env: &Environment, options: &OpenOptions) -> Result<OpenedStore, OpenError> {
    match url.kind() {
        RemoteKind::File(path) => open_folder(path, options),
        RemoteKind::S3(s3) => open_s3(s3, env, options),
        RemoteKind::Gcs(gcs) => open_gcs(gcs, env, options),
        RemoteKind::Azure(azure) => open_azure(azure, env, options),
    }
}

/// Makes a folder and those above it, and makes sure that they survive a crash.
///
/// # Errors
/// [`OpenError::NotAFolder`] when something else is there, [`OpenError::Folder`] when it cannot be made.
pub fn create_folder(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Folder { verb: "make", path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        return Err(OpenError::NotAFolder { path: path.to_owned() });
    }
    let missing = path.ancestors().take_while(|folder| !folder.exists()).count();
    std::fs::create_dir_all(path).map_err(failed)?;
    // A new name is durable once the folder that holds it is: from the deepest up to the first old one.
    for folder in path.ancestors().skip(1).take(missing) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(())
}

fn open_folder(path: &Path, options: &OpenOptions) -> Result<OpenedStore, OpenError> {
    if options.create {
        create_folder(path)?;
    }
    let path_buf = || path.to_owned();
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(OpenError::NotAFolder { path: path_buf() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::FolderMissing { path: path_buf() });
        }
        Err(source) => return Err(OpenError::Folder { verb: "read", path: path_buf(), source }),
    }
    let store = LocalFileSystem::new_with_prefix(path).map_err(client("file system"))?.with_fsync(true);
    let credential_source = "file permissions".to_owned();
    Ok(OpenedStore { store: Arc::new(store), prefix: object_store::path::Path::default(), credential_source })
}

fn open_s3(s3: &S3Address, env: &Environment, options: &OpenOptions) -> Result<OpenedStore, OpenError> {
    const CLOUD: &str = "S3";
    install_tls();
    let settings = AwsSettings::find(env, s3.profile.as_deref())?;
    let endpoint = endpoint(s3.endpoint.as_ref(), s3.allow_http, settings.endpoint.clone())?;
    let region = match (s3.region.clone().or_else(|| settings.region.clone()), &endpoint) {
        (Some(region), _) => region,
        // Servers that have no regions take this one in a signature.
        (None, Some(_)) => "us-east-1".to_owned(),
        (None, None) => return Err(OpenError::MissingRegion { bucket: s3.bucket.clone() }),
    };
    // It becomes part of a host name.
    if region.is_empty() || !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(OpenError::BadRegion);
    }
    let mut client_options = options.client(endpoint.as_deref().is_some_and(is_http));
    for certificate in certificates(env)? {
        client_options = client_options.with_root_certificate(certificate);
    }
    // Amazon's own name for a bucket is a host; a dot in it would not match the certificate.
    let virtual_hosted = endpoint.is_none() && !s3.bucket.contains('.');
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(virtual_hosted)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(client_options)
        .with_retry(options.retry());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let credential_source = settings.origin().to_owned();
    let store = settings
        .apply(builder, options.client_for_credentials(), options.retry_for_credentials())
        .and_then(AmazonS3Builder::build)
        .map_err(client(CLOUD))?;
    Ok(OpenedStore { store: Arc::new(store), prefix: prefix(&s3.prefix)?, credential_source })
}

fn open_gcs(gcs: &GcsAddress, env: &Environment, options: &OpenOptions) -> Result<OpenedStore, OpenError> {
    install_tls();
    let settings = GcpSettings::find(env)?;
    let endpoint = endpoint(gcs.endpoint.as_ref(), gcs.allow_http, settings.endpoint.clone())?;
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&gcs.bucket)
        .with_client_options(options.client(endpoint.as_deref().is_some_and(is_http)))
        .with_retry(options.retry());
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(&endpoint);
    }
    let credential_source = settings.origin().to_owned();
    let store = settings.apply(builder).build().map_err(client("Google Cloud Storage"))?;
    Ok(OpenedStore { store: Arc::new(store), prefix: prefix(&gcs.prefix)?, credential_source })
}

fn open_azure(azure: &AzureAddress, env: &Environment, options: &OpenOptions) -> Result<OpenedStore, OpenError> {
    install_tls();
    let settings = AzureSettings::find(env, azure.account.as_deref(), azure.endpoint.as_deref())?;
    let Some(account) = settings.account.clone() else {
        return Err(OpenError::MissingAccount { container: azure.container.clone() });
    };
    // It becomes part of a host name.
    if account.is_empty() || !account.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Err(OpenError::BadAccount);
    }
    let endpoint = endpoint(azure.endpoint.as_ref(), azure.allow_http, settings.endpoint.clone())?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(&azure.container)
        .with_account(&account)
        .with_client_options(options.client(endpoint.as_deref().is_some_and(is_http)))
        .with_retry(options.retry());
    if let Some(mut endpoint) = endpoint {
        // Where the host cannot begin with the account, the path does: so does the emulator.
        if has_no_subdomains(&endpoint) && !endpoint.ends_with(&format!("/{account}")) {
            endpoint = format!("{endpoint}/{account}");
        }
        builder = builder.with_endpoint(endpoint);
    }
    let credential_source = settings.origin().to_owned();
    let store = settings
        .apply(builder, options.client_for_credentials(), options.retry_for_credentials())
        .and_then(MicrosoftAzureBuilder::build)
        .map_err(client("Azure"))?;
    Ok(OpenedStore { store: Arc::new(store), prefix: prefix(&azure.prefix)?, credential_source })
}

/// The endpoint of the URL, or else the one that the environment names, checked like the former.
fn endpoint(
    in_url: Option<&String>,
    allow_http: bool,
    found: Option<(String, String)>,
) -> Result<Option<String>, OpenError> {
    match (in_url, found) {
        (Some(endpoint), _) => {
            debug_assert!(allow_http || !is_http(endpoint), "BUG: the URL was parsed without its check");
            Ok(Some(endpoint.clone()))
        }
        (None, Some((origin, address))) => {
            let instead = "set the access key in its own variable";
            parse_endpoint(&address, None, instead)
                .map(Some)
                .map_err(|source| OpenError::BadEndpoint { origin, source })
        }
        (None, None) => Ok(None),
    }
}

fn is_http(endpoint: &str) -> bool {
    endpoint.starts_with("http:")
}

fn prefix(prefix: &str) -> Result<object_store::path::Path, OpenError> {
    object_store::path::Path::parse(prefix).map_err(|source| OpenError::BadPrefix { prefix: prefix.to_owned(), source })
}

/// Certificates of a private authority, for servers inside a company.
fn certificates(env: &Environment) -> Result<Vec<Certificate>, OpenError> {
    let Some(path) = env.get("AWS_CA_BUNDLE").map(PathBuf::from) else { return Ok(Vec::new()) };
    let pem =
        std::fs::read(&path).map_err(|source| OpenError::Certificates { path: path.clone(), source: source.into() })?;
    Certificate::from_pem_bundle(&pem).map_err(|source| OpenError::Certificates { path, source: source.into() })
}

fn client(cloud: &'static str) -> impl FnOnce(object_store::Error) -> OpenError {
    move |source| OpenError::Client { cloud, source }
}

/// Chooses ring for TLS, once for the process: the HTTP client is built without a choice of its own.
pub(super) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that the program around this library has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
