//! Addresses: what is accepted, what is refused and how, and that no text leads to a panic or a leak.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
    RemoteUrl::parse(text, Path::new("/cwd"))
}

fn canonical(text: &str) -> String {
    parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}")).to_string()
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(url) => panic!("{text:?} was taken as {url}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn plain_paths_are_taken_letter_by_letter() {
    for (text, path) in [
        ("backups", "/cwd/backups"),
        ("./a b%20c?d#e/", "/cwd/a b%20c?d#e"),
        ("~/x", "/cwd/~/x"),
        ("../up/./here//", "/up/here"),
        ("/../..", "/"),
        ("/a/b/../c", "/a/c"),
        ("odd:name", "/cwd/odd:name"),
        ("dir/s3://x", "/cwd/dir/s3:/x"),
        ("c:/x", "/cwd/c:/x"),
        ("12:30", "/cwd/12:30"),
        ("line\nbreak", "/cwd/line\nbreak"),
    ] {
        assert_eq!(parse(text).unwrap().as_folder(), Some(Path::new(path)), "{text:?}");
    }
    assert_eq!(canonical("a b%?#"), "file:///cwd/a%20b%25%3F%23");
}

#[test]
fn file_urls_are_decoded() {
    for (text, path) in [
        ("file:///a%20b/%25", "/a b/%"),
        ("FILE://LOCALHOST/x/", "/x"),
        ("file:/x/../y", "/y"),
        ("file:///", "/"),
        ("file:////a//b", "/a/b"),
    ] {
        assert_eq!(parse(text).unwrap().as_folder(), Some(Path::new(path)), "{text:?}");
    }
    let bytes = parse("file:///%ff").unwrap();
    assert_eq!(bytes.as_folder().unwrap().as_os_str().as_bytes(), b"/\xff");
    assert_eq!(bytes.to_string(), "file:///%FF");
}

#[test]
fn cloud_urls_have_one_canonical_form() {
    for (text, expected) in [
        ("s3://bkt", "s3://bkt"),
        ("S3://bkt//", "s3://bkt"),
        ("s3://bkt/a/./b/../c/", "s3://bkt/a/c"),
        ("s3://bkt/a%2Fb%20c", "s3://bkt/a/b%20c"),
        ("s3://bkt/100%25?", "s3://bkt/100%25"),
        (
            "s3://bkt?region=eu-west-1&endpoint=https://H.Example:443/",
            "s3://bkt?endpoint=https://h.example&region=eu-west-1",
        ),
        ("s3://bkt/p?endpoint=http%3A%2F%2F127.0.0.1%3A8333", "s3://bkt/p?endpoint=http://127.0.0.1:8333"),
        ("s3://bkt?endpoint=http://[::1]:80/", "s3://bkt?endpoint=http://[::1]"),
        ("s3://bkt?endpoint=http://minio:9000&allow_http=true", "s3://bkt?endpoint=http://minio:9000&allow_http=true"),
        ("s3://bkt?endpoint=https://minio:9000&allow_http=true", "s3://bkt?endpoint=https://minio:9000"),
        ("s3://bkt?endpoint=http://localhost&allow_http=true", "s3://bkt?endpoint=http://localhost"),
        ("s3://bkt?profile=back%20up", "s3://bkt?profile=back%20up"),
        ("gs://my_bkt.example.com/p", "gs://my_bkt.example.com/p"),
        ("az://box/p/?account=acct1", "az://box/p?account=acct1"),
        (
            "az://box?endpoint=http://127.0.0.1:10000/devstoreaccount1/",
            "az://box?endpoint=http://127.0.0.1:10000/devstoreaccount1",
        ),
        ("az://$root", "az://$root"),
    ] {
        assert_eq!(canonical(text), expected, "{text:?}");
        assert_eq!(parse(expected), parse(text), "{text:?}");
    }
    let RemoteKind::S3(s3) = parse("s3://bkt?endpoint=http://localhost:1").unwrap().kind().clone() else { panic!() };
    assert!(s3.allow_http);
    assert!(parse("s3://b/p?region=a").unwrap().is_same_place(&parse("s3://b/p?profile=q").unwrap()));
    assert!(!parse("s3://b/p").unwrap().is_same_place(&parse("s3://b/q").unwrap()));
}

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    for (text, expected) in [
        ("", "the address is empty"),
        ("s4://b", "did you mean s3://"),
        ("gcs://b", "did you mean gs://"),
        ("azure://b", "did you mean az://"),
        ("flie:///x", "did you mean file://"),
        ("https://host/b", "s3://bucket/prefix?endpoint=https://host"),
        ("sftp://host/x", "unknown scheme 'sftp': expected file, s3, gs, az or a plain path"),
        ("s3:bucket/x", "write s3://bucket/prefix"),
        ("az:box", "write az://container/prefix"),
        ("s3://", "no bucket in the URL"),
        ("s3:///p", "no bucket in the URL"),
        ("s3://b%41", "the bucket in the URL is refused"),
        ("az://Box", "the container in the URL is refused"),
        ("s3://localhost:9000/b", "endpoint=http://host:port"),
        ("s3://b/../../x", "leads out of the bucket"),
        ("s3://b/%2e%2e", "leads out of the bucket"),
        ("s3://b/%zz", "write %25"),
        ("s3://b/%ff", "not UTF-8"),
        ("s3://b/%00", "control character"),
        ("s3://b/a#b", "write %23"),
        ("s3://b?endpont=x", "did you mean endpoint?"),
        ("s3://b?account=x", "s3:// has no parameter 'account'; it has endpoint, region, profile, allow_http"),
        ("gs://b?region=x", "gs:// has no parameter 'region'"),
        ("s3://b?region=a&region=b", "more than once"),
        ("s3://b?region=", "expected a name like"),
        ("s3://b?region=a/b", "expected a name like"),
        ("s3://b?allow_http=yes", "expected true or false"),
        ("s3://b?allow_http=true", "to which it applies"),
        ("s3://b?endpoint=localhost:9000", "expected http://host[:port]"),
        ("s3://b?endpoint=ftp://h", "expected http://host[:port]"),
        ("s3://b?endpoint=https://h%23x", "expected http://host[:port]"),
        ("s3://b?endpoint=http://minio:9000", "allow_http=true"),
        ("s3://b?endpoint=http://10.0.0.1", "http://10.0.0.1 is not on this machine"),
        ("s3://b?endpoint=http://127.0.0.1&allow_http=false", "not on this machine"),
        ("file://host/x", "found a host"),
        ("file:x", "absolute path"),
        ("file://", "absolute path"),
        ("file:///a?b", "write %3F"),
        ("file:///a#b", "write %23"),
        ("file:///a%00b", "control character"),
        ("a\0b", "control character"),
    ] {
        let message = refused(text);
        assert!(message.contains(expected), "{text:?} gives {message:?}, which lacks {expected:?}");
    }
    assert_eq!(RemoteUrl::parse("x", Path::new("rel")), Err(UrlError::RelativeCwd));
    assert!(RemoteUrl::from_path(Path::new(OsStr::from_bytes(b"\xff")), Path::new("/")).is_ok());
}

/// Texts with `HUSH` where people put secrets.
const LEAKY: &[&str] = &[
    "s3://AKIA:HUSH@bucket/p",
    "s3://AKIA:SEC/HUSH@bucket/p",
    "s3://HUSH@bucket",
    "s3://b/p?access_key=HUSH",
    "s3://b/p?AWS_ACCESS_KEY_ID=AKIA&aws-secret-access-key=HUSH",
    "s3://b?secret=HUSH",
    "s3://b?X-Amz-Signature=HUSH",
    "s3://b?X-Amz-Credential=HUSH",
    "s3://b?session_token=HUSH&endpoint=https://h",
    "s3://b?HUSH",
    "s3://b?HUSH=HUSH",
    "s3://b?region=HUSH/HUSH",
    "s3://b?profile=HUSH%00",
    "s3://b?endpoint=https://u:HUSH@h",
    "s3://b?endpoint=u:HUSH@h",
    "s3://b?endpoint=HUSH://h",
    "s3://b?endpoint=https://h?token=HUSH",
    "gs://b?private_key=HUSH",
    "gs://b?GoogleAccessId=HUSH",
    "gs://HUSH:@b",
    "az://c/p?sv=2022-11-02&ss=b&sig=HUSH",
    "az://c/p?account_key=HUSH",
    "az://c/p?sas=HUSH",
    "az://c/p?sas_token=HUSH",
    "az://c?key=HUSH",
    "az://c?endpoint=https://a.blob.core.windows.net?sv=1&sig=HUSH",
    "az://c?endpoint=https://a.blob.core.windows.net%3Fsig%3DHUSH",
    "az://container@HUSH.blob.core.windows.net/p",
    "file://u:HUSH@h/x",
];

#[test]
fn secrets_are_refused_and_never_repeated() {
    for text in LEAKY {
        let error = parse(text).unwrap_err();
        let shown = format!("{error} {error:?}").to_lowercase();
        assert!(!shown.contains("hush") && !shown.contains("akia"), "{text:?} leaks in {shown}");
    }
    let asked = LEAKY.iter().filter(|text| matches!(parse(text), Err(UrlError::Credentials { .. }))).count();
    assert!(asked >= 21, "only {asked} are recognised as credentials");
    assert!(refused("s3://b?access_key=x").contains("AWS_ACCESS_KEY_ID"));
    assert!(refused("gs://b?token=x").contains("GOOGLE_APPLICATION_CREDENTIALS"));
    assert!(refused("az://box?sig=x").contains("AZURE_STORAGE_SAS_TOKEN"));
}

proptest! {
    #[test]
    fn any_text_gives_an_address_or_an_error(text in any::<String>()) {
        if let Ok(url) = parse(&text) {
            prop_assert_eq!(parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn any_text_after_a_scheme_gives_an_address_or_an_error(
        scheme in "(file|s3|gs|az|S3):(//)?",
        rest in "[a-z0-9:/?#@%&=.\\\\\\[\\]$ _+~é-]{0,40}",
    ) {
        if let Ok(url) = parse(&format!("{scheme}{rest}")) {
            prop_assert_eq!(parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn any_endpoint_gives_an_address_or_an_error(endpoint in "https?:/{0,3}[a-zA-Z0-9:/.@\\[\\]%\\\\_é-]{0,30}") {
        let value: String = endpoint.bytes().map(|b| format!("%{b:02x}")).collect();
        if let Ok(url) = parse(&format!("s3://bkt/p?endpoint={value}")) {
            prop_assert_eq!(parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn every_part_survives_the_canonical_form(
        bucket in "[A-Za-z0-9_-]{1,40}",
        prefix in "[^/.\\pC]{1,20}(/[^/.\\pC]{1,20}){0,3}",
        region in proptest::option::of("[a-z0-9-]{1,20}"),
        profile in proptest::option::of("[a-zA-Z0-9 é@+/-]{1,20}"),
        port in proptest::option::of(1u16..),
    ) {
        let escaped: String = prefix.bytes().map(|b| format!("%{b:02x}")).collect();
        let mut text = format!("s3://{bucket}/{escaped}?");
        if let Some(port) = port { text += &format!("endpoint=http://127.0.0.1:{port}&"); }
        if let Some(region) = &region { text += &format!("region={region}&"); }
        if let Some(profile) = &profile { text += &format!("profile={}", escape::encode_value(profile)); }
        let url = parse(&text).unwrap();
        let RemoteKind::S3(s3) = url.kind() else { panic!() };
        prop_assert_eq!((&s3.bucket, &s3.prefix), (&bucket, &prefix));
        prop_assert_eq!((&s3.region, &s3.profile), (&region, &profile));
        prop_assert_eq!(parse(&url.to_string()), Ok(url.clone()));
    }

    #[test]
    fn every_path_survives_the_canonical_form(bytes in proptest::collection::vec(1u8.., 1..40)) {
        let url = RemoteUrl::from_path(Path::new(OsStr::from_bytes(&bytes)), Path::new("/cwd")).unwrap();
        prop_assert_eq!(parse(&url.to_string()), Ok(url));
    }
}
