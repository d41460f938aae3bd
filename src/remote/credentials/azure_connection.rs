//! Azure connection strings: `Name=value;Name=value`, as the portal shows them.
//!
//! Contract: Azure Storage, "Configure Azure Storage connection strings". Names are compared without
//! regard to case; names that say nothing about blobs are passed over.

use super::CredentialError;

/// What a connection string says about blobs.
#[derive(Default)]
pub(super) struct ConnectionString {
    pub(super) account: Option<String>,
    pub(super) key: Option<String>,
    pub(super) sas: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) emulator: bool,
}

/// Parses a connection string; `origin` is for errors, which show nothing of it.
pub(super) fn parse(text: &str, origin: &str) -> Result<ConnectionString, CredentialError> {
    let malformed = |reason: &str| CredentialError::Malformed { origin: origin.to_owned(), reason: reason.to_owned() };
    let mut parsed = ConnectionString::default();
    let (mut protocol, mut suffix) = ("https".to_owned(), None);
    for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        // A key ends in `=`, and a signature holds more of them: only the first one separates.
        let (name, value) = pair.split_once('=').ok_or_else(|| malformed("holds a part without '='"))?;
        let value = value.trim().to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "accountname" => parsed.account = Some(value),
            "accountkey" => parsed.key = Some(value),
            "sharedaccesssignature" => parsed.sas = Some(value),
            "blobendpoint" => parsed.endpoint = Some(value.trim_end_matches('/').to_owned()),
            "usedevelopmentstorage" => parsed.emulator = value.eq_ignore_ascii_case("true"),
            "defaultendpointsprotocol" => protocol = value,
            "endpointsuffix" => suffix = Some(value),
            _ => {}
        }
    }
    if let (None, Some(suffix), Some(account)) = (&parsed.endpoint, suffix, &parsed.account) {
        // The suffix of the public cloud is the default anyway.
        let public = suffix == "core.windows.net" && protocol == "https";
        parsed.endpoint = (!public).then(|| format!("{protocol}://{account}.blob.{suffix}"));
    }
    if parsed.account.is_none() {
        parsed.account = parsed.endpoint.as_deref().and_then(account_of);
    }
    Ok(parsed)
}

/// The account of an endpoint like `https://account.blob.core.windows.net`.
fn account_of(endpoint: &str) -> Option<String> {
    let (_, host) = endpoint.split_once("://")?;
    host.split_once(".blob.").map(|(account, _)| account.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_shapes_are_read() {
        let full = "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5==;EndpointSuffix=core.windows.net";
        let parsed = parse(full, "x").unwrap();
        assert_eq!((parsed.account.as_deref(), parsed.key.as_deref()), (Some("acct"), Some("a2V5==")));
        assert_eq!(parsed.endpoint, None);

        let sas = "BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D;";
        let parsed = parse(sas, "x").unwrap();
        assert_eq!((parsed.account.as_deref(), parsed.sas.as_deref()), (Some("acct"), Some("sv=1&sig=a%3D")));
        assert_eq!(parsed.endpoint.as_deref(), Some("https://acct.blob.core.windows.net"));

        let china = parse("accountname=acct;accountkey=k;endpointsuffix=core.chinacloudapi.cn", "x").unwrap();
        assert_eq!(china.endpoint.as_deref(), Some("https://acct.blob.core.chinacloudapi.cn"));
        assert!(parse("UseDevelopmentStorage=true", "x").unwrap().emulator);
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_showing_it() {
        let Err(error) = parse("hush", "AZURE_STORAGE_CONNECTION_STRING") else { panic!() };
        assert_eq!(error.to_string(), "AZURE_STORAGE_CONNECTION_STRING holds a part without '='");
    }
}
