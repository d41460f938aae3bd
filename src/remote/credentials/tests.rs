//! Which source is taken, which are told as skipped, and which are refused.

use super::aws::AwsSettings;
use super::azure::AzureSettings;
use super::gcp::GcpSettings;
use super::*;
use crate::remote::Environment;

/// A home folder with these files in it, and an environment that knows it.
fn home(files: &[(&str, &str)], vars: &[(&str, &str)]) -> (tempfile::TempDir, Environment) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let env = Environment::from_pairs(vars.iter().copied()).with_home(home.path());
    (home, env)
}

const CREDENTIALS: &str = "[default]\naws_access_key_id = DEFAULTID\naws_secret_access_key = s3cr3t\n\
                           [backup]\naws_access_key_id = BACKUPID\naws_secret_access_key = s3cr3t\n\
                           aws_session_token = s3cr3t\n[half]\naws_access_key_id = X\n\
                           [newline]\naws_access_key_id = a b\naws_secret_access_key = s3cr3t\n";
const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile backup]\nregion = eu-west-2\nendpoint_url = https://h\n\
                      [profile cmd]\ncredential_process = echo s3cr3t\n[profile assume]\nrole_arn = arn:x\n\
                      source_profile = default\n[profile sso]\nsso_session = corp\nregion = x\n\
                      [profile web]\nrole_arn = arn:x\nweb_identity_token_file = /t\n[profile bare]\nregion = r-1\n";
const FILES: &[(&str, &str)] = &[(".aws/credentials", CREDENTIALS), (".aws/config", CONFIG)];
const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "ENVID"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")];
const NO_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

fn aws(vars: &[(&str, &str)], profile: Option<&str>) -> Result<AwsSettings, CredentialError> {
    let (_home, env) = home(FILES, vars);
    AwsSettings::find(&env, profile)
}

fn aws_error(vars: &[(&str, &str)], profile: Option<&str>) -> String {
    let Err(error) = aws(vars, profile) else { panic!("found something") };
    let shown = format!("{error:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    error.to_string()
}

#[test]
fn aws_sources_come_in_the_documented_order() {
    let (key, secret) = (KEYS[0], KEYS[1]);
    for (vars, profile, origin, region) in [
        (&[key, secret, ("AWS_PROFILE", "backup")][..], None, "environment (AWS_ACCESS_KEY_ID)", Some("eu-west-2")),
        (&[key, secret], Some("backup"), "profile \"backup\" in ~/.aws/credentials", Some("eu-west-2")),
        (&[], None, "profile \"default\" in ~/.aws/credentials", Some("eu-west-1")),
        (&[("AWS_REGION", "r-9")], None, "profile \"default\" in ~/.aws/credentials", Some("r-9")),
        (&[("AWS_PROFILE", "cmd")], None, "profile \"cmd\" in ~/.aws/config (credential_process)", None),
        (&[("AWS_PROFILE", "web")], None, "profile \"web\" in ~/.aws/config (web identity)", None),
        (
            &[("AWS_PROFILE", "bare"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn")],
            None,
            "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
            Some("r-1"),
        ),
        (
            &[("AWS_PROFILE", "bare"), ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")],
            None,
            "container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)",
            Some("r-1"),
        ),
        (&[("AWS_PROFILE", "bare")], None, "instance metadata (169.254.169.254)", Some("r-1")),
        (&[("AWS_SKIP_SIGNATURE", "true")], None, "none (AWS_SKIP_SIGNATURE)", Some("eu-west-1")),
        (
            &[("AWS_SHARED_CREDENTIALS_FILE", "/does/not/exist"), ("AWS_PROFILE", "cmd")],
            None,
            "profile \"cmd\" in ~/.aws/config (credential_process)",
            None,
        ),
    ] {
        let found = aws(vars, profile).unwrap_or_else(|error| panic!("{vars:?}: {error}"));
        assert_eq!((found.origin(), found.region.as_deref()), (origin, region), "{vars:?}");
    }
    let endpoint = aws(&[("AWS_PROFILE", "backup")], None).unwrap().endpoint.unwrap();
    assert_eq!((endpoint.0.contains("endpoint_url of profile"), endpoint.1.as_str()), (true, "https://h"));
}

#[test]
fn aws_errors_say_what_was_tried_and_what_to_do() {
    let (key, secret) = (KEYS[0], KEYS[1]);
    for (vars, profile, expected) in [
        (&[key][..], None, "the environment gives AWS_ACCESS_KEY_ID but not AWS_SECRET_ACCESS_KEY"),
        (&[secret], None, "the environment gives AWS_SECRET_ACCESS_KEY but not AWS_ACCESS_KEY_ID"),
        (&[("AWS_PROFILE", "half")], None, "~/.aws/credentials gives aws_access_key_id but not aws_secret_access_key"),
        (
            &[("AWS_PROFILE", "bakup")],
            None,
            "there is no profile \"bakup\" in ~/.aws/credentials and ~/.aws/config; did you mean \"backup\"?",
        ),
        (&[], Some("nobody"), "there is no profile \"nobody\""),
        (
            &[("AWS_PROFILE", "assume")],
            None,
            "role_arn, which is not supported: with the AWS CLI, add a profile with the line credential_process = aws configure export-credentials --profile assume",
        ),
        (&[("AWS_PROFILE", "sso")], None, "sso_session, which is not supported"),
        (&[("AWS_PROFILE", "newline")], None, "has a value for aws_access_key_id that is empty or holds a space"),
        (&[key, ("AWS_SECRET_ACCESS_KEY", "s3cr3t\nx")], None, "environment has a value for AWS_SECRET_ACCESS_KEY"),
        (
            &[("AWS_PROFILE", "bare"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")],
            None,
            "AWS_WEB_IDENTITY_TOKEN_FILE but not AWS_ROLE_ARN",
        ),
        (
            &[("AWS_PROFILE", "bare"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://x")],
            None,
            "but not AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ),
    ] {
        let message = aws_error(vars, profile);
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
    let (_home, env) = home(&[], &[NO_INSTANCE]);
    let Err(error) = AwsSettings::find(&env, None) else { panic!() };
    assert_eq!(
        error.to_string(),
        "no credentials for S3 found; tried environment (AWS_ACCESS_KEY_ID is not set), profile \"default\" (not in \
         ~/.aws/credentials (no such file) and ~/.aws/config (no such file)), web identity \
         (AWS_WEB_IDENTITY_TOKEN_FILE is not set), container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and \
         AWS_CONTAINER_CREDENTIALS_FULL_URI are not set), instance metadata (AWS_EC2_METADATA_DISABLED is set); set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile into ~/.aws/credentials"
    );
    let (_home, env) = home(&[(".aws/config", "[default]\nhush\n")], &[]);
    let Err(error) = AwsSettings::find(&env, None) else { panic!() };
    assert_eq!(error.to_string(), "~/.aws/config, line 2, is neither [section] nor name = value");
}

const ADC: &str = ".config/gcloud/application_default_credentials.json";
const USER: &str = r#"{"type":"authorized_user","client_id":"a","client_secret":"s3cr3t","refresh_token":"s3cr3t"}"#;

fn gcp_error(text: &str) -> String {
    let (_home, env) = home(&[(ADC, text)], &[]);
    let Err(error) = GcpSettings::find(&env) else { panic!("{text} was taken") };
    let shown = format!("{error:?}");
    assert!(!shown.contains("s3cr3t"), "{shown}");
    error.to_string()
}

#[test]
fn gcp_sources_come_in_the_documented_order() {
    let (folder, env) = home(&[(ADC, USER), ("other/application_default_credentials.json", USER)], &[]);
    let origin = |env: &Environment| GcpSettings::find(env).map(|found| found.origin().to_owned()).unwrap();
    assert_eq!(origin(&env), format!("application default credentials (~/{ADC})"));

    let path = folder.path().join(ADC);
    let other = Environment::from_pairs([("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())]);
    assert_eq!(origin(&other), format!("{} (GOOGLE_APPLICATION_CREDENTIALS)", path.display()));

    let path = folder.path().join("other");
    let other = Environment::from_pairs([("CLOUDSDK_CONFIG", path.to_str().unwrap())]);
    assert!(origin(&other).contains("other/application_default"));

    let env = Environment::from_pairs([("STORAGE_EMULATOR_HOST", "localhost:4443")]);
    let found = GcpSettings::find(&env).unwrap();
    assert_eq!(found.endpoint, Some(("STORAGE_EMULATOR_HOST".into(), "http://localhost:4443".into())));
    let (_home, env) = home(&[], &[]);
    assert_eq!(origin(&env), "metadata server (metadata.google.internal, 169.254.169.254)");
}

#[test]
fn gcp_errors_say_what_is_wrong_with_the_file() {
    for (text, expected) in [
        ("s3cr3t", "is not JSON at line 1"),
        (r#"{"type":"authorized_user","client_id":"s3cr3t"}"#, "has no text client_secret"),
        (r#"{"type":"service_account","private_key":7,"client_email":"s3cr3t"}"#, "has no text private_key"),
        (r#"{"type":"external_account","x":"s3cr3t"}"#, "uses external_account, which is not supported"),
        (r#"{"type":"s3cr3t"}"#, "uses another type than service_account"),
        ("[]", "has no text private_key"),
    ] {
        let message = gcp_error(text);
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        assert!(message.contains(ADC), "{message:?}");
    }
    let (_home, env) = home(&[], &[("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist")]);
    let Err(error) = GcpSettings::find(&env) else { panic!() };
    assert_eq!(error.to_string(), "cannot read credentials from /does/not/exist");
    let (_home, env) = home(&[], &[("NO_GCE_CHECK", "true")]);
    let Err(error) = GcpSettings::find(&env) else { panic!() };
    assert!(error.to_string().contains("tried environment (GOOGLE_APPLICATION_CREDENTIALS is not set), application"));
}

/// An account key in its form (base64).
const KEY: (&str, &str) = ("AZURE_STORAGE_ACCOUNT_KEY", "czNjcjN0");
const NAME: (&str, &str) = ("AZURE_STORAGE_ACCOUNT_NAME", "acct");

#[test]
fn azure_sources_come_in_the_documented_order() {
    let connection = "AccountName=acct;AccountKey=czNjcjN0;EndpointSuffix=core.windows.net";
    let connection = ("AZURE_STORAGE_CONNECTION_STRING", connection);
    let sas = ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=s3cr3t%3D");
    let principal = [("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
    for (vars, account, origin) in [
        (&[NAME, KEY, connection, sas][..], "acct", "environment (AZURE_STORAGE_ACCOUNT_KEY)"),
        (&[connection, sas], "acct", "environment (AZURE_STORAGE_CONNECTION_STRING)"),
        (&[NAME, sas], "acct", "environment (AZURE_STORAGE_SAS_TOKEN)"),
        (&[NAME, ("AZURE_STORAGE_TOKEN", "s3cr3t")], "acct", "environment (AZURE_STORAGE_TOKEN)"),
        (
            &[NAME, principal[0], principal[1], ("AZURE_FEDERATED_TOKEN_FILE", "/t"), ("AZURE_CLIENT_SECRET", "s")],
            "acct",
            "workload identity (AZURE_FEDERATED_TOKEN_FILE)",
        ),
        (
            &[NAME, principal[0], principal[1], ("AZURE_CLIENT_SECRET", "s3cr3t")],
            "acct",
            "client secret (AZURE_CLIENT_SECRET)",
        ),
        (&[NAME, ("AZURE_USE_AZURE_CLI", "true")], "acct", "Azure CLI (az account get-access-token)"),
        (&[NAME, principal[0]], "acct", "managed identity"),
        (&[("AZURE_STORAGE_USE_EMULATOR", "true"), connection], "devstoreaccount1", "the emulator's well-known key"),
        (&[("AZURE_STORAGE_USE_EMULATOR", "1"), KEY], "devstoreaccount1", "environment (AZURE_STORAGE_ACCOUNT_KEY)"),
    ] {
        let env = Environment::from_pairs(vars.iter().copied());
        let found = AzureSettings::find(&env, None, None).unwrap_or_else(|error| panic!("{vars:?}: {error}"));
        assert_eq!((found.account.as_deref(), found.origin()), (Some(account), origin), "{vars:?}");
    }
    // Keys for one account are not sent to another.
    let env = Environment::from_pairs([connection, sas]);
    let found = AzureSettings::find(&env, Some("other"), None).unwrap();
    assert_eq!(found.origin(), "environment (AZURE_STORAGE_SAS_TOKEN)");
    let found = AzureSettings::find(&env, Some("devstoreaccount1"), Some("http://127.0.0.1:1")).unwrap();
    assert_eq!(found.origin(), "the emulator's well-known key");
}

#[test]
fn azure_values_that_cannot_be_meant_are_refused_without_showing_them() {
    for (name, value, expected) in [
        ("AZURE_STORAGE_ACCOUNT_KEY", "s3cr3t!", "not base64"),
        ("AZURE_STORAGE_SAS_TOKEN", "s3cr3t", "holds no shared access signature"),
        ("AZURE_STORAGE_SAS_TOKEN", "sv=s3cr3t", "without sig="),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=s3cr3t", "neither AccountKey nor SharedAccessSignature"),
        ("AZURE_STORAGE_TOKEN", "s3cr3t\n\nx", "line break"),
    ] {
        let env = Environment::from_pairs([(name, value)]);
        let Err(error) = AzureSettings::find(&env, None, None) else { panic!("{name} was taken") };
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected) && !shown.contains("s3cr3t"), "{shown}");
    }
}

#[test]
fn an_error_is_found_among_the_causes_of_a_request() {
    let trail = Trail::new("S3", "do this");
    let error = unauthenticated(trail.not_found(None));
    assert!(matches!(credential_error(&error), Some(CredentialError::NotFound { cloud: "S3", .. })));
    let other = object_store::Error::NotImplemented { operation: "x".into(), implementer: "y".into() };
    assert!(credential_error(&other).is_none());
}
