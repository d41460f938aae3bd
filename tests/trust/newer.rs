//! What a later pagekeep made is told as that and left alone; a flipped bit that looks like it is damage, and healed.

use std::fs;

use pagekeep::format::envelope::TRAILER_LEN;
use pagekeep::format::pack::FOOTER_LEN;
use pagekeep::ops::{ErrorKind, FindingKind};

use crate::{Sound, write};

/// Where the version stands in the header (FORMAT.md, "Envelope").
const VERSION_AT: usize = 13;

/// The object as a later pagekeep would write it: with a digest that fits.
fn newer(key: &str, good: &[u8]) -> Vec<u8> {
    if key == "store.json" {
        return String::from_utf8(good.to_vec()).unwrap().replace("\"format\": 1", "\"format\": 9").into_bytes();
    }
    let mut bytes = good.to_vec();
    bytes[VERSION_AT] = 9;
    let end = bytes.len();
    if key.starts_with("packs/") {
        bytes[end - FOOTER_LEN] = 9;
        return bytes;
    }
    assert!(end > TRAILER_LEN);
    let digest = blake3::hash(&bytes[..end - 32]);
    bytes[end - 32..].copy_from_slice(digest.as_bytes());
    bytes
}

#[test]
fn an_object_of_a_newer_format_is_named_as_that_and_not_replaced() {
    let sound = Sound::new();
    for (key, good) in &sound.objects {
        let bytes = newer(key, good);
        assert_ne!(bytes, *good);
        write(&sound.path(key), &bytes);
        for report in [sound.verify(), sound.scrub().found] {
            let found = report.findings.iter().find(|finding| finding.object == *key);
            let found = found.unwrap_or_else(|| panic!("{key}: {:?}", report.findings));
            assert_eq!(found.kind, FindingKind::TooNew, "{key}: {}", found.detail);
            assert_eq!(report.kind(), Some(ErrorKind::TooNew), "{key}: {:?}", report.findings);
        }
        let report = sound.repair().unwrap();
        assert!(report.healed.is_empty(), "{key}: {:?}", report.healed);
        assert_eq!(report.kind(), Some(ErrorKind::TooNew));
        assert!(fs::read(sound.path(key)).unwrap() == bytes, "{key} was touched");
        sound.reset();
    }
}

#[test]
fn beside_damage_newer_objects_are_damage() {
    let sound = Sound::new();
    let keys: Vec<&String> = sound.objects.keys().filter(|key| key.starts_with("snapshots/")).collect();
    write(&sound.path(keys[0]), &newer(keys[0], &sound.objects[keys[0]]));
    fs::remove_file(sound.path(keys[2])).unwrap();
    assert_eq!(sound.verify().kind(), Some(ErrorKind::Corruption));
}
