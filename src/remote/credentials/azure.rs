//! Azure: account key, connection string, shared access signature, workload identity, client secret,
//! Azure CLI, managed identity, in this order.
//!
//! Promises: exactly one source reaches `object_store`, so that two of them in one environment
//! cannot mix; the well-known key of the emulator is used only when the emulator is asked for.
//! Refuses to know: how tokens are fetched.

use std::sync::Arc;

use object_store::azure::{AzureAccessKey, AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder, split_sas};
use object_store::{ClientOptions, RetryConfig, StaticCredentialProvider};

use super::azure_connection::{self, ConnectionString};
use super::{CredentialError, LastResort, Service, Trail, key};
use crate::remote::Environment;

const ADVICE: &str = "set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID, AZURE_TENANT_ID and \
                      AZURE_CLIENT_SECRET";
const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// The emulator's account and key, the same on every machine and no secret (Azure Storage, "Use the
/// Azurite emulator", section "Well-known storage account and key").
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_ENDPOINT: &str = "http://127.0.0.1:10000";

/// How Azure Blob Storage is reached.
pub(in crate::remote) struct AzureSettings {
    /// The storage account, if the URL or the environment names one.
    pub(in crate::remote) account: Option<String>,
    /// An endpoint that the environment names, with where.
    pub(in crate::remote) endpoint: Option<(String, String)>,
    origin: String,
    source: AzureSource,
}

enum AzureSource {
    Key(AzureAccessKey),
    Sas(Vec<(String, String)>),
    Token(String),
    /// A service that gives tokens, after these settings have been made.
    Service(Box<MicrosoftAzureBuilder>),
    /// The identity of the machine, which may have none.
    Identity(Box<MicrosoftAzureBuilder>, Trail),
    Anonymous,
}

impl AzureSettings {
    /// Looks for everything but asks no service yet. `account` is the one that the URL names, and
    /// `endpoint` whether it names one.
    ///
    /// # Errors
    /// A source that is there and cannot be used.
    pub(in crate::remote) fn find(
        env: &Environment,
        account: Option<&str>,
        endpoint: Option<&str>,
    ) -> Result<Self, CredentialError> {
        let mut trail = Trail::new("Azure", ADVICE);
        let named = env.first(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"]).map(|(_, name)| name);
        let account = account.or(named).map(str::to_owned);
        let connection = match env.get(CONNECTION) {
            Some(text) => azure_connection::parse(text, CONNECTION)?,
            None => ConnectionString::default(),
        };
        // Only Azurite has this account, wherever it listens.
        let emulator_named = endpoint.is_some() && account.as_deref() == Some(EMULATOR_ACCOUNT);
        let emulator = env.is_true("AZURE_STORAGE_USE_EMULATOR") || connection.emulator || emulator_named;
        const KEYS: &[&str] = &["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"];
        const SAS: &[&str] = &["AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"];
        let at = |endpoint: Option<String>, origin: &str| endpoint.map(|address| (origin.to_owned(), address));
        let this = |account, endpoint, origin: String, source| Ok(Self { account, endpoint, origin, source });

        if let Some((name, value)) = env.first(KEYS) {
            let account = account.or_else(|| emulator.then(|| EMULATOR_ACCOUNT.to_owned()));
            let endpoint = emulator.then(|| EMULATOR_ENDPOINT.to_owned());
            return this(account, at(endpoint, "the emulator"), environment(name), access_key(value, name)?);
        }
        trail.skip("environment", "AZURE_STORAGE_ACCOUNT_KEY is not set");
        if emulator {
            let account = account.unwrap_or_else(|| EMULATOR_ACCOUNT.to_owned());
            let source = access_key(EMULATOR_KEY, "the emulator")?;
            let endpoint = Some(EMULATOR_ENDPOINT.to_owned());
            return this(Some(account), at(endpoint, "the emulator"), "the emulator's well-known key".into(), source);
        }
        if env.get(CONNECTION).is_some() {
            match (&account, &connection.account) {
                // Keys of one account open no other: sending them there would only tell them.
                (Some(wanted), Some(given)) if wanted != given => {
                    trail.skip(CONNECTION, format!("it is for the account {given:?}, not {wanted:?}"));
                }
                _ => {
                    let account = account.or(connection.account);
                    let endpoint = at(connection.endpoint, CONNECTION);
                    let source = match (connection.key, connection.sas) {
                        (Some(key), _) => access_key(&key, CONNECTION)?,
                        (None, Some(sas)) => signature(&sas, CONNECTION)?,
                        (None, None) => {
                            let reason = "holds neither AccountKey nor SharedAccessSignature".into();
                            return Err(CredentialError::Malformed { origin: CONNECTION.into(), reason });
                        }
                    };
                    return this(account, endpoint, environment(CONNECTION), source);
                }
            }
        } else {
            trail.skip("connection string", format!("{CONNECTION} is not set"));
        }
        if let Some((name, value)) = env.first(SAS) {
            return this(account, None, environment(name), signature(value, name)?);
        }
        trail.skip("shared access signature", "AZURE_STORAGE_SAS_TOKEN is not set");
        let (source, origin) = identity(env, trail)?;
        this(account, None, origin, source)
    }

    /// The source for people.
    pub(in crate::remote) fn origin(&self) -> &str {
        &self.origin
    }

    /// Puts the credentials into a builder that already has its container and account.
    ///
    /// `client` and `retry` are for requests to the services that hand out tokens.
    pub(in crate::remote) fn apply(
        self,
        builder: MicrosoftAzureBuilder,
        client: ClientOptions,
        retry: RetryConfig,
    ) -> object_store::Result<MicrosoftAzureBuilder> {
        // As for AWS: a builder that is used for nothing else makes the provider.
        let ask = |asking: MicrosoftAzureBuilder| -> object_store::Result<AzureCredentialProvider> {
            let asking = asking.with_account("any").with_container_name("any");
            Ok(asking.with_client_options(client).with_retry(retry).build()?.credentials().clone())
        };
        let fixed = |credential| -> AzureCredentialProvider { Arc::new(StaticCredentialProvider::new(credential)) };
        let origin = self.origin;
        let provider: AzureCredentialProvider = match self.source {
            AzureSource::Key(key) => fixed(AzureCredential::AccessKey(key)),
            AzureSource::Sas(pairs) => fixed(AzureCredential::SASToken(pairs)),
            AzureSource::Token(token) => fixed(AzureCredential::BearerToken(token)),
            AzureSource::Service(asking) => Arc::new(Service { inner: ask(*asking)?, origin }),
            AzureSource::Identity(asking, trail) => Arc::new(LastResort { inner: ask(*asking)?, origin, trail }),
            AzureSource::Anonymous => return Ok(builder.with_skip_signature(true)),
        };
        Ok(builder.with_credentials(provider))
    }
}

/// Tokens: given, or fetched for a service principal, for the Azure CLI's user, or for the machine.
fn identity(env: &Environment, mut trail: Trail) -> Result<(AzureSource, String), CredentialError> {
    if env.is_true("AZURE_SKIP_SIGNATURE") {
        return Ok((AzureSource::Anonymous, "none (AZURE_SKIP_SIGNATURE)".into()));
    }
    if let Some(token) = env.get("AZURE_STORAGE_TOKEN") {
        let token = key(token, "environment", "AZURE_STORAGE_TOKEN")?;
        return Ok((AzureSource::Token(token), environment("AZURE_STORAGE_TOKEN")));
    }
    let client = env.first(&["AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID"]);
    let tenant = env.first(&["AZURE_TENANT_ID", "AZURE_STORAGE_TENANT_ID"]);
    let mut asking = MicrosoftAzureBuilder::new();
    if let Some(host) = env.get("AZURE_AUTHORITY_HOST") {
        asking = asking.with_authority_host(host);
    }
    if let (Some((_, client)), Some((_, tenant))) = (client, tenant) {
        asking = asking.with_client_id(client).with_tenant_id(tenant);
        if let Some(file) = env.get("AZURE_FEDERATED_TOKEN_FILE") {
            let asking = asking.with_federated_token_file(file).with_credential_type("workload_identity");
            return Ok((AzureSource::Service(asking.into()), "workload identity (AZURE_FEDERATED_TOKEN_FILE)".into()));
        }
        if let Some((name, secret)) = env.first(&["AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET"]) {
            let secret = key(secret, "environment", name)?;
            let asking = asking.with_client_secret(secret).with_credential_type("client_secret");
            return Ok((AzureSource::Service(asking.into()), format!("client secret ({name})")));
        }
        trail.skip("service principal", "neither AZURE_CLIENT_SECRET nor AZURE_FEDERATED_TOKEN_FILE is set");
    } else {
        trail.skip("service principal", "AZURE_CLIENT_ID and AZURE_TENANT_ID are not both set");
    }
    if env.is_true("AZURE_USE_AZURE_CLI") {
        let asking = MicrosoftAzureBuilder::new().with_credential_type("azure_cli");
        return Ok((AzureSource::Service(asking.into()), "Azure CLI (az account get-access-token)".into()));
    }
    trail.skip("Azure CLI", "AZURE_USE_AZURE_CLI is not true");
    let mut asking = MicrosoftAzureBuilder::new().with_credential_type("managed_identity");
    if let Some((_, client)) = client {
        asking = asking.with_client_id(client);
    }
    if let Some((_, endpoint)) = env.first(&["AZURE_MSI_ENDPOINT", "MSI_ENDPOINT"]) {
        asking = asking.with_msi_endpoint(endpoint);
    }
    Ok((AzureSource::Identity(asking.into(), trail), "managed identity".into()))
}

fn environment(name: &str) -> String {
    format!("environment ({name})")
}

fn access_key(value: &str, origin: &str) -> Result<AzureSource, CredentialError> {
    let value = key(value, origin, "the account key")?;
    // Its own error is dropped: it may quote the key.
    let parsed = AzureAccessKey::try_new(&value);
    parsed.map(AzureSource::Key).map_err(|_| CredentialError::Malformed {
        origin: origin.to_owned(),
        reason: "holds an account key that is not base64".into(),
    })
}

fn signature(value: &str, origin: &str) -> Result<AzureSource, CredentialError> {
    let value = key(value, origin, "the shared access signature")?;
    let malformed = |reason: &str| CredentialError::Malformed { origin: origin.to_owned(), reason: reason.to_owned() };
    let pairs = split_sas(&value).map_err(|_| malformed("holds no shared access signature like sv=…&sig=…"))?;
    if !pairs.iter().any(|(name, _)| name == "sig") {
        return Err(malformed("holds a shared access signature without sig="));
    }
    Ok(AzureSource::Sas(pairs))
}
