//! Why an address could not be opened.

use std::path::PathBuf;

use crate::remote::{CredentialError, UrlError};

/// Why an address could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Credentials are missing or cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),

    /// The folder does not exist, and it was not asked for that it be made.
    #[error("the folder {path} does not exist (is its disk mounted?)")]
    FolderMissing {
        /// The folder.
        path: PathBuf,
    },

    /// Something else than a folder is there.
    #[error("{path} is not a folder")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },

    /// The folder cannot be read or made.
    #[error("cannot {verb} the folder {path}")]
    Folder {
        /// `read` or `make`.
        verb: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    /// No region is known, and no endpoint that would do without.
    #[error(
        "no region for the bucket {bucket:?}: add ?region=… to the URL, or set AWS_REGION, or a region in the profile"
    )]
    MissingRegion {
        /// The bucket.
        bucket: String,
    },

    /// A region out of the environment that is no name.
    #[error("the region from the environment or the profile is refused: expected a name like eu-central-1")]
    BadRegion,

    /// No storage account is known.
    #[error(
        "no storage account for the container {container:?}: add ?account=… to the URL, or set AZURE_STORAGE_ACCOUNT_NAME"
    )]
    MissingAccount {
        /// The container.
        container: String,
    },

    /// A storage account out of the environment that is no name.
    #[error("the storage account from the environment is refused: expected 3 to 24 lower-case letters and digits")]
    BadAccount,

    /// An endpoint out of the environment or a file is refused as it would be in a URL.
    #[error("the endpoint from {origin} is refused")]
    BadEndpoint {
        /// The variable or setting.
        origin: String,
        /// Why.
        source: UrlError,
    },

    /// The certificates that `AWS_CA_BUNDLE` names cannot be used.
    #[error("cannot use the certificates in {path} (AWS_CA_BUNDLE)")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The prefix cannot be part of a key.
    #[error("the prefix {prefix:?} cannot be part of a key")]
    BadPrefix {
        /// The prefix.
        prefix: String,
        /// Why.
        source: object_store::path::Error,
    },

    /// The client could not be set up.
    #[error("cannot set up a client for {cloud}")]
    Client {
        /// `S3`, `Google Cloud Storage`, `Azure` or `file system`.
        cloud: &'static str,
        /// Why.
        source: object_store::Error,
    },
}
