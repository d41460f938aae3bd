//! AWS: environment, profiles, web identity, container, instance, in this order.
//!
//! The order and the names are those of the AWS SDKs and Tools Reference Guide, "Standardized
//! credential providers". Promises: a profile that the URL names comes before the environment, and
//! one that is asked for by name must exist.
//! Refuses to know: how a request is signed, and how roles are assumed or single sign-on works; those
//! are refused with the command that turns them into credentials.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::{ClientOptions, RetryConfig, StaticCredentialProvider};

use super::process::CredentialProcess;
use super::profile::{Profile, ProfileFiles};
use super::refresh::Refreshing;
use super::{CredentialError, LastResort, Service, Trail, key};
use crate::remote::Environment;
use crate::remote::url::nearest;

const ADVICE: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile into ~/.aws/credentials";

/// What the environment and the profile say about reaching S3.
pub(in crate::remote) struct AwsSettings {
    /// The region, if either names one.
    pub(in crate::remote) region: Option<String>,
    /// An endpoint, with the name of the variable or setting that gives it.
    pub(in crate::remote) endpoint: Option<(String, String)>,
    origin: String,
    source: AwsSource,
    trail: Trail,
}

enum AwsSource {
    /// Keys as they stand in the environment or a file.
    Static(AwsCredential),
    /// A command that prints keys.
    Process(CredentialProcess),
    /// A service that the environment points to, with the settings that say where.
    Service(Vec<(AmazonS3ConfigKey, String)>),
    /// The metadata service of an EC2 instance, which may not exist.
    Instance(Vec<(AmazonS3ConfigKey, String)>),
    /// No signature, for public buckets.
    Anonymous,
}

impl AwsSettings {
    /// Looks for everything but asks no service yet. `profile` is the one that the URL names.
    ///
    /// # Errors
    /// A source that is there and cannot be used, or no source at all.
    pub(in crate::remote) fn find(env: &Environment, profile: Option<&str>) -> Result<Self, CredentialError> {
        let files = ProfileFiles::read(env)?;
        let asked = profile.or_else(|| env.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]).map(|(_, name)| name));
        let name = asked.unwrap_or("default");
        let found = files.profile(name);
        let mut trail = Trail::new("S3", ADVICE);
        let from_environment = match profile {
            Some(_) => None,
            None => environment(env, &mut trail)?,
        };
        let (source, origin) = if env.is_true("AWS_SKIP_SIGNATURE") {
            (AwsSource::Anonymous, "none (AWS_SKIP_SIGNATURE)".to_owned())
        } else if let Some(credential) = from_environment {
            (AwsSource::Static(credential), "environment (AWS_ACCESS_KEY_ID)".to_owned())
        } else if let Some(source) = profile_source(&files, found.as_ref(), name, asked.is_some(), env, &mut trail)? {
            source
        } else {
            service(env, &mut trail)?
        };
        let setting = |variables: &[&'static str], setting: &str| {
            env.first(variables).map(|(name, value)| (name.to_owned(), value.to_owned())).or_else(|| {
                let profile = found.as_ref()?;
                Some((format!("{setting} of {}", profile.origin(setting)), profile.get(setting)?.to_owned()))
            })
        };
        let region = setting(&["AWS_REGION", "AWS_DEFAULT_REGION"], "region").map(|(_, region)| region);
        let endpoint = match env.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            true => None,
            false => setting(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], "endpoint_url"),
        };
        Ok(Self { region, endpoint, origin, source, trail })
    }

    /// The source for people.
    pub(in crate::remote) fn origin(&self) -> &str {
        &self.origin
    }

    /// Puts the credentials into a builder that already has its bucket and region.
    ///
    /// `client` and `retry` are for requests to the services that hand out credentials.
    pub(in crate::remote) fn apply(
        self,
        builder: AmazonS3Builder,
        client: ClientOptions,
        retry: RetryConfig,
    ) -> object_store::Result<AmazonS3Builder> {
        // The providers for services are private to object_store: a builder that is used for nothing
        // else makes one, and it is taken out again.
        let ask = |settings: Vec<(AmazonS3ConfigKey, String)>| -> object_store::Result<AwsCredentialProvider> {
            let mut asking = builder.clone().with_client_options(client).with_retry(retry);
            for (key, value) in settings {
                asking = asking.with_config(key, value);
            }
            Ok(asking.build()?.credentials().clone())
        };
        let origin = self.origin;
        let provider: AwsCredentialProvider = match self.source {
            AwsSource::Static(credential) => Arc::new(StaticCredentialProvider::new(credential)),
            AwsSource::Process(process) => Arc::new(Refreshing::new(process)),
            AwsSource::Service(settings) => Arc::new(Service { inner: ask(settings)?, origin }),
            AwsSource::Instance(settings) => Arc::new(LastResort { inner: ask(settings)?, origin, trail: self.trail }),
            AwsSource::Anonymous => return Ok(builder.with_skip_signature(true)),
        };
        Ok(builder.with_credentials(provider))
    }
}

/// Keys in the environment.
fn environment(env: &Environment, trail: &mut Trail) -> Result<Option<AwsCredential>, CredentialError> {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    let origin = "environment";
    let incomplete = |found, missing| CredentialError::Incomplete { origin: "the environment".into(), found, missing };
    match (env.get(ID), env.get(SECRET)) {
        (None, None) => {
            trail.skip(origin, format!("{ID} is not set"));
            Ok(None)
        }
        (Some(_), None) => Err(incomplete(ID, SECRET)),
        (None, Some(_)) => Err(incomplete(SECRET, ID)),
        (Some(id), Some(secret)) => Ok(Some(AwsCredential {
            key_id: key(id, origin, ID)?,
            secret_key: key(secret, origin, SECRET)?,
            token: env
                .first(&["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
                .map(|(name, token)| key(token, origin, name))
                .transpose()?,
        })),
    }
}

/// What a profile gives; `asked` when it was named and so must exist.
fn profile_source(
    files: &ProfileFiles,
    profile: Option<&Profile<'_>>,
    name: &str,
    asked: bool,
    env: &Environment,
    trail: &mut Trail,
) -> Result<Option<(AwsSource, String)>, CredentialError> {
    let Some(profile) = profile else {
        if asked {
            return Err(CredentialError::UnknownProfile {
                profile: name.to_owned(),
                searched: files.searched(),
                hint: nearest(name, &files.names()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default(),
            });
        }
        trail.skip(format!("profile {name:?}"), format!("not in {}", files.searched()));
        return Ok(None);
    };
    let unsupported = |setting: &str| CredentialError::Unsupported {
        origin: profile.origin(setting),
        what: setting.to_owned(),
        instead: format!(
            "with the AWS CLI, add a profile with the line credential_process = aws configure export-credentials \
             --profile {name} and use that, or run eval \"$(aws configure export-credentials --profile {name} --format env)\""
        ),
    };
    if profile.get("role_arn").is_some() {
        let (Some(role), Some(file)) = (profile.get("role_arn"), profile.get("web_identity_token_file")) else {
            return Err(unsupported("role_arn"));
        };
        let mut settings = vec![
            (AmazonS3ConfigKey::RoleArn, role.to_owned()),
            (AmazonS3ConfigKey::WebIdentityTokenFile, file.to_owned()),
        ];
        settings.extend(profile.get("role_session_name").map(|n| (AmazonS3ConfigKey::RoleSessionName, n.to_owned())));
        settings.extend(sts_endpoint(env));
        return Ok(Some((AwsSource::Service(settings), profile.origin("role_arn") + " (web identity)")));
    }
    for setting in ["source_profile", "credential_source", "sso_session", "sso_start_url", "login_session"] {
        if profile.get(setting).is_some() {
            return Err(unsupported(setting));
        }
    }
    const ID: &str = "aws_access_key_id";
    const SECRET: &str = "aws_secret_access_key";
    let incomplete = |found, missing| CredentialError::Incomplete { origin: profile.origin(found), found, missing };
    match (profile.get(ID), profile.get(SECRET)) {
        (Some(id), Some(secret)) => {
            let origin = profile.origin(ID);
            let credential = AwsCredential {
                key_id: key(id, &origin, ID)?,
                secret_key: key(secret, &origin, SECRET)?,
                token: profile
                    .get("aws_session_token")
                    .map(|token| key(token, &origin, "aws_session_token"))
                    .transpose()?,
            };
            return Ok(Some((AwsSource::Static(credential), origin)));
        }
        (Some(_), None) => return Err(incomplete(ID, SECRET)),
        (None, Some(_)) => return Err(incomplete(SECRET, ID)),
        (None, None) => {}
    }
    if let Some(command) = profile.get("credential_process") {
        let origin = profile.origin("credential_process");
        let process = CredentialProcess::new(command, origin.clone(), env);
        return Ok(Some((AwsSource::Process(process), origin + " (credential_process)")));
    }
    trail.skip(profile.origin(ID), "it has no keys and no credential_process");
    Ok(None)
}

/// Services that hand out credentials, as `object_store` asks them.
fn service(env: &Environment, trail: &mut Trail) -> Result<(AwsSource, String), CredentialError> {
    const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
    match (env.get(TOKEN_FILE), env.get("AWS_ROLE_ARN")) {
        (Some(file), Some(role)) => {
            let mut settings = vec![
                (AmazonS3ConfigKey::WebIdentityTokenFile, file.to_owned()),
                (AmazonS3ConfigKey::RoleArn, role.to_owned()),
            ];
            let session = env.get("AWS_ROLE_SESSION_NAME");
            settings.extend(session.map(|name| (AmazonS3ConfigKey::RoleSessionName, name.to_owned())));
            settings.extend(sts_endpoint(env));
            return Ok((AwsSource::Service(settings), format!("web identity ({TOKEN_FILE})")));
        }
        (Some(_), None) => {
            let origin = "the environment".into();
            return Err(CredentialError::Incomplete { origin, found: TOKEN_FILE, missing: "AWS_ROLE_ARN" });
        }
        (None, _) => trail.skip("web identity", format!("{TOKEN_FILE} is not set")),
    }
    const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    if let Some(uri) = env.get(RELATIVE) {
        let settings = vec![(AmazonS3ConfigKey::ContainerCredentialsRelativeUri, uri.to_owned())];
        return Ok((AwsSource::Service(settings), format!("container ({RELATIVE})")));
    }
    if let Some(uri) = env.get(FULL) {
        let Some(token) = env.get(TOKEN) else {
            return Err(CredentialError::Incomplete { origin: "the environment".into(), found: FULL, missing: TOKEN });
        };
        let settings = vec![
            (AmazonS3ConfigKey::ContainerCredentialsFullUri, uri.to_owned()),
            (AmazonS3ConfigKey::ContainerAuthorizationTokenFile, token.to_owned()),
        ];
        return Ok((AwsSource::Service(settings), format!("container ({FULL})")));
    }
    trail.skip("container", format!("{RELATIVE} and {FULL} are not set"));
    if env.is_true("AWS_EC2_METADATA_DISABLED") {
        trail.skip("instance metadata", "AWS_EC2_METADATA_DISABLED is set");
        return Err(trail.clone().not_found(None));
    }
    let address = env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let settings =
        address.map(|address| (AmazonS3ConfigKey::MetadataEndpoint, address.trim_end_matches('/').to_owned()));
    let shown = address.unwrap_or("169.254.169.254");
    Ok((AwsSource::Instance(settings.into_iter().collect()), format!("instance metadata ({shown})")))
}

fn sts_endpoint(env: &Environment) -> Option<(AmazonS3ConfigKey, String)> {
    env.get("AWS_ENDPOINT_URL_STS").map(|address| (AmazonS3ConfigKey::StsEndpoint, address.to_owned()))
}
