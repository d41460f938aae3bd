//! The double of Google Cloud Storage answers `object_store` as the real one would, reached the way
//! a user reaches it: a URL and `GOOGLE_APPLICATION_CREDENTIALS`.

#[path = "support/gcs.rs"]
mod gcs;

use futures::TryStreamExt;
use gcs::{BUCKET, GcsDouble};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use pagekeep::remote::{Environment, OpenOptions, OpenedStore, RemoteUrl, open};

fn opened(double: &GcsDouble, bucket: &str) -> OpenedStore {
    let key_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key_file.path(), double.service_account_json()).unwrap();
    let path = key_file.path().to_str().unwrap();
    let env = Environment::from_pairs([("GOOGLE_APPLICATION_CREDENTIALS", path)]);
    let url = RemoteUrl::parse(&format!("gs://{bucket}/pre/fix"), std::path::Path::new("/")).unwrap();
    let options = OpenOptions { retries: 0, ..OpenOptions::for_tests() };
    open(&url, &env, &options).unwrap()
}

fn key(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn create() -> PutOptions {
    PutOptions { mode: PutMode::Create, ..PutOptions::default() }
}

#[tokio::test]
async fn a_create_has_one_winner_and_the_content_is_read_back() {
    let double = GcsDouble::start();
    let opened = opened(&double, BUCKET);
    assert!(opened.credential_source.ends_with("(GOOGLE_APPLICATION_CREDENTIALS)"), "{}", opened.credential_source);
    assert_eq!(opened.prefix, key("pre/fix"));
    let store = opened.store;

    let odd = key("pre/a b+c%25=&ü/x");
    let first = store.put_opts(&odd, "first".into(), create()).await.unwrap();
    assert!(matches!(store.put_opts(&odd, "second".into(), create()).await, Err(Error::AlreadyExists { .. })));
    assert_eq!(store.get(&odd).await.unwrap().bytes().await.unwrap(), "first");
    assert_eq!(double.take_requests(), ["PUT pre/a b+c%25=&ü/x", "PUT pre/a b+c%25=&ü/x", "GET pre/a b+c%25=&ü/x"]);

    let meta = store.head(&odd).await.unwrap();
    assert_eq!((meta.size, &meta.e_tag, &meta.version), (5, &first.e_tag, &first.version));

    let update = |version: &UpdateVersion| PutMode::Update(version.clone()).into();
    let old = UpdateVersion::from(first);
    let second = store.put_opts(&odd, "second".into(), update(&old)).await.unwrap();
    assert_ne!(second.version, old.version);
    assert!(matches!(store.put_opts(&odd, "x".into(), update(&old)).await, Err(Error::Precondition { .. })));

    store.delete(&odd).await.unwrap();
    assert!(matches!(store.get(&odd).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.head(&odd).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn of_racing_creates_exactly_one_wins() {
    let double = GcsDouble::start();
    let store = opened(&double, BUCKET).store;
    let put = |n: usize| {
        let store = store.clone();
        async move { store.put_opts(&key("race"), n.to_string().into(), create()).await }
    };
    let results = futures::future::join_all((0..16).map(put)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::AlreadyExists { .. }))));
}

#[tokio::test]
async fn ranges_are_those_of_http() {
    let double = GcsDouble::start();
    let store = opened(&double, BUCKET).store;
    store.put(&key("x"), "0123456789".into()).await.unwrap();
    assert_eq!(store.get_range(&key("x"), 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&key("x"), 8..20).await.unwrap(), "89");
    let get = async |range: GetRange| {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        store.get_opts(&key("x"), options).await.unwrap().bytes().await.unwrap()
    };
    assert_eq!(get(GetRange::Offset(7)).await, "789");
    assert_eq!(get(GetRange::Suffix(3)).await, "789");
    assert!(store.get_range(&key("x"), 10..12).await.is_err());
    store.put(&key("empty"), PutPayload::new()).await.unwrap();
    assert_eq!(store.get(&key("empty")).await.unwrap().bytes().await.unwrap(), "");
}

#[tokio::test]
async fn listings_go_on_over_pages() {
    let double = GcsDouble::start_with_page_size(3);
    let store = opened(&double, BUCKET).store;
    let mut names: Vec<String> = (0..10).map(|n| format!("p/{n}")).collect();
    names.extend(["p/a/1", "p/a/2", "p/b/1", "p/b&<>\"/1", "q/1"].map(str::to_owned));
    for name in &names {
        store.put(&key(name), "x".into()).await.unwrap();
    }
    names.sort();
    double.take_requests();

    let list = async |prefix: Option<Path>| -> Vec<String> {
        let metas: Vec<_> = store.list(prefix.as_ref()).try_collect().await.unwrap();
        metas.into_iter().map(|meta| meta.location.to_string()).collect()
    };
    assert_eq!(list(None).await, names);
    assert_eq!(double.take_requests().len(), 5);
    assert_eq!(list(Some(key("p/a"))).await, ["p/a/1", "p/a/2"]);
    assert_eq!(list(Some(key("nothing"))).await, [""; 0]);

    let after: Vec<_> = store.list_with_offset(Some(&key("p")), &key("p/8")).try_collect().await.unwrap();
    assert_eq!(after.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>()[..2], ["p/9", "p/a/1"]);
    assert_eq!(after.len(), 5);

    double.take_requests();
    let folders = store.list_with_delimiter(Some(&key("p"))).await.unwrap();
    assert_eq!(folders.objects.len(), 10);
    assert_eq!(folders.common_prefixes, [key("p/a"), key("p/b"), key("p/b&<>\"")]);
    assert_eq!(double.take_requests().len(), 5);
}

#[tokio::test]
async fn an_upload_in_parts_appears_when_it_is_complete() {
    let double = GcsDouble::start();
    let store = opened(&double, BUCKET).store;
    let mut upload = store.put_multipart(&key("big")).await.unwrap();
    for byte in [b'a', b'b', b'c'] {
        upload.put_part(PutPayload::from(vec![byte; 1 << 20])).await.unwrap();
    }
    assert!(matches!(store.head(&key("big")).await, Err(Error::NotFound { .. })));
    assert_eq!(double.open_uploads(), 1);
    upload.complete().await.unwrap();
    assert_eq!(double.open_uploads(), 0);
    assert_eq!(store.head(&key("big")).await.unwrap().size, 3 << 20);
    assert_eq!(store.get_range(&key("big"), (1 << 20) - 1..(1 << 20) + 1).await.unwrap(), "ab");

    let mut upload = store.put_multipart(&key("not")).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(double.open_uploads(), 0);
    assert!(matches!(store.head(&key("not")).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_missing_bucket_and_a_stopped_server_are_errors() {
    let double = GcsDouble::start();
    let missing = opened(&double, "other").store;
    assert!(matches!(missing.get(&key("x")).await, Err(Error::NotFound { .. })));
    assert!(missing.put_opts(&key("x"), "x".into(), create()).await.is_err());
    assert!(missing.list(None).try_collect::<Vec<_>>().await.is_err());
    let store = opened(&double, BUCKET).store;
    drop(double);
    assert!(store.get(&key("x")).await.is_err());
}
