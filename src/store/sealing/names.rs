//! Names in keys, hidden: what a listing shows is as long as its neighbours, and equal only where the names are.
//!
//! A name becomes a mark, the keyed hash of the name and of where it stands, and the name itself under a stream that the
//! mark begins (a synthetic nonce): so a listing can be read back by whoever has the key, without a request for each name,
//! and the mark proves what came out. Numbers stay as they are: listings must keep their order.

use blake3::Hasher;

use super::KeyRing;
use crate::base::{Name, PackId};

/// Bytes of a mark.
const MARK_LEN: usize = 16;
/// Names are padded to multiples of this.
const PAD: usize = 32;
/// What stands before a key that nobody with this store's key made.
pub(in crate::store) const FOREIGN: &str = "!/";

/// What a part of a key is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// A name, escaped.
    Name,
    /// An id of content: 64 digits.
    Id,
    /// The first two digits of the id after it.
    Fan,
    /// Anything else that says something: up to 96 bytes.
    Text,
    /// Numbers and random marks.
    Plain,
}

/// What the parts of a key are, after the folder it begins with. Of a folder that is not here every part is hidden.
fn layout(folder: &str) -> &'static [Segment] {
    match folder {
        "snapshots" => &[Segment::Name, Segment::Name, Segment::Plain],
        "maps" => &[Segment::Name, Segment::Name, Segment::Plain, Segment::Plain],
        "refs" => &[Segment::Name, Segment::Plain, Segment::Name, Segment::Plain],
        "packs" => &[Segment::Fan, Segment::Id],
        "marks" => &[Segment::Name, Segment::Plain],
        "leases" => &[Segment::Name, Segment::Plain, Segment::Plain],
        "bundles" | "locks" | "probes" | "sessions" | "tombstones" => &[Segment::Plain],
        _ => &[Segment::Text, Segment::Text, Segment::Text, Segment::Text],
    }
}

/// Objects that say nothing secret, and must be read before there is a key.
fn is_open(key: &str) -> bool {
    ["store.json", "keys", "probes"].contains(&key.split('/').next().unwrap_or_default())
}

impl KeyRing {
    /// The key of an object, or of a folder of keys, as the remote sees it; `None` for one that no writer makes.
    pub fn hide(&self, key: &str) -> Option<String> {
        if is_open(key) {
            return Some(key.to_owned());
        }
        if let Some(foreign) = key.strip_prefix(FOREIGN) {
            return Some(foreign.to_owned());
        }
        let parts: Vec<&str> = key.split('/').collect();
        let mut out = vec![parts[0].to_owned()];
        let mut plain = parts[0].to_owned();
        for (index, part) in parts.iter().enumerate().skip(1) {
            let hidden = match layout(parts[0]).get(index - 1)? {
                Segment::Plain => (*part).to_owned(),
                Segment::Name => self.hide_part(&plain, &padded(Name::from_key(part)?.as_str().as_bytes())),
                Segment::Id => self.hide_part("", part.parse::<PackId>().ok()?.as_bytes()),
                Segment::Text => self.hide_part(&plain, &padded(text(part)?)),
                Segment::Fan => match parts.get(index + 1) {
                    Some(id) => self.hide_part("", id.parse::<PackId>().ok()?.as_bytes())[..2].to_owned(),
                    None => return None,
                },
            };
            out.push(hidden);
            plain = format!("{plain}/{part}");
        }
        Some(out.join("/"))
    }

    /// The key of an object as its writer meant it. One that nobody with this key made comes back behind `!/`, which no
    /// writer's keys begin with.
    pub fn reveal(&self, hidden: &str) -> String {
        self.revealed(hidden).unwrap_or_else(|| format!("{FOREIGN}{hidden}"))
    }

    fn revealed(&self, hidden: &str) -> Option<String> {
        if is_open(hidden) {
            return Some(hidden.to_owned());
        }
        let parts: Vec<&str> = hidden.split('/').collect();
        let mut plain = parts[0].to_owned();
        for (index, part) in parts.iter().enumerate().skip(1) {
            let shown = match layout(parts[0]).get(index - 1)? {
                Segment::Plain => (*part).to_owned(),
                Segment::Name => name(self.reveal_part(&plain, part)?)?.to_key(),
                Segment::Id => PackId(self.reveal_part("", part)?.try_into().ok()?).to_string(),
                Segment::Text => String::from_utf8(unpadded(self.reveal_part(&plain, part)?)).ok()?,
                Segment::Fan => {
                    PackId(self.reveal_part("", parts.get(index + 1)?)?.try_into().ok()?).to_string()[..2].to_owned()
                }
            };
            plain = format!("{plain}/{shown}");
        }
        // Only what hides to the same was made by a writer.
        (self.hide(&plain)? == hidden).then_some(plain)
    }

    /// Under what name a pack's parts may be kept on this machine: the keyed hash of its id.
    pub(in crate::store) fn cache_id(&self, id: &PackId) -> PackId {
        PackId(*blake3::keyed_hash(&self.marks, &[b"cache", &id.as_bytes()[..]].concat()).as_bytes())
    }

    fn mark(&self, place: &str, padded: &[u8]) -> [u8; MARK_LEN] {
        let mut hasher = Hasher::new_keyed(&self.marks);
        hasher.update(&(place.len() as u32).to_le_bytes()).update(place.as_bytes()).update(padded);
        hasher.finalize().as_bytes()[..MARK_LEN].try_into().expect("BUG: 16 of 32 bytes")
    }

    fn stream(&self, mark: &[u8], bytes: &mut [u8]) {
        let mut stream = vec![0; bytes.len()];
        Hasher::new_keyed(&self.names).update(mark).finalize_xof().fill(&mut stream);
        bytes.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }

    fn hide_part(&self, place: &str, padded: &[u8]) -> String {
        let mark = self.mark(place, padded);
        let mut bytes = padded.to_vec();
        self.stream(&mark, &mut bytes);
        mark.iter().chain(&bytes).map(|byte| format!("{byte:02x}")).collect()
    }

    fn reveal_part(&self, place: &str, part: &str) -> Option<Vec<u8>> {
        let bytes = unhex(part)?;
        let (mark, rest) = bytes.split_at_checked(MARK_LEN)?;
        let mut plain = rest.to_vec();
        self.stream(mark, &mut plain);
        (!plain.is_empty() && self.mark(place, &plain) == mark).then_some(plain)
    }
}

fn text(part: &str) -> Option<&[u8]> {
    (!part.is_empty() && part.len() <= 96 && !part.contains('\0')).then_some(part.as_bytes())
}

/// Zeros up to the next multiple: no name has one.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(PAD), 0);
    out
}

fn unpadded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
    bytes
}

fn name(padded: Vec<u8>) -> Option<Name> {
    Name::new(std::str::from_utf8(&unpadded(padded)).ok()?).ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::super::MasterKey;
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::of(&MasterKey::from_bytes([7; 32]))
    }

    #[test]
    fn keys_come_back_and_say_nothing() {
        let long = "n".repeat(80);
        let id = "ab".repeat(32);
        for key in [
            "snapshots/my!20app/main/fffffffe-1".to_owned(),
            "snapshots/12/fffffffe-1/fffffffe-1".into(),
            "refs/app/tags/12/fffffffd-2".into(),
            "refs/app/lines".into(),
            format!("snapshots/{long}"),
            format!("packs/ab/{id}"),
            "maps/app/main/7".into(),
            format!("bundles/{id}.idx"),
            "tombstones/something".into(),
            "marks/my!20app/fffffffe-1".into(),
            "leases/jobs/fffffffe-1/fffffffe-1".into(),
            "locks/0123".into(),
            "store.json".into(),
            "keys/0123".into(),
        ] {
            let hidden = ring().hide(&key).unwrap();
            assert_eq!(ring().reveal(&hidden), key);
            let other = KeyRing::of(&MasterKey::from_bytes([8; 32]));
            if !is_open(&key) && !key.starts_with("locks") {
                assert_ne!(hidden, key);
                assert_eq!(other.reveal(&hidden), format!("!/{hidden}"));
            }
            for word in ["app", "main", &long, &id] {
                assert!(!hidden.contains(word), "{hidden} says {word}");
            }
            assert!(hidden.split('/').all(|part| part.len() <= 255), "{hidden}");
        }
    }

    #[test]
    fn a_listing_shows_no_length_and_no_equal_names_of_different_databases() {
        let hidden = |key: &str| ring().hide(key).unwrap();
        assert_eq!(hidden("snapshots/a/main").len(), hidden("snapshots/accounting-2026/main").len());
        let line = |key: &str| hidden(key).split('/').next_back().unwrap().to_owned();
        assert_ne!(line("snapshots/a/main"), line("snapshots/b/main"));
        assert_eq!(line("snapshots/a/main"), line("snapshots/a/main"));
    }

    #[test]
    fn what_nobody_with_the_key_made_is_foreign() {
        let mut hidden = ring().hide("snapshots/app/main/fffffffe-1").unwrap();
        assert_eq!(ring().reveal("snapshots/app/main/fffffffe-1"), "!/snapshots/app/main/fffffffe-1");
        assert_eq!(ring().hide("!/snapshots/x").as_deref(), Some("snapshots/x"));
        // A line's name moved under another database.
        let other = ring().hide("snapshots/shop").unwrap();
        let line = hidden.split('/').nth(2).unwrap();
        assert!(ring().reveal(&format!("{other}/{line}/fffffffe-1")).starts_with("!/"));
        let flipped = if &hidden[20..21] == "0" { "1" } else { "0" };
        hidden.replace_range(20..21, flipped);
        assert!(ring().reveal(&hidden).starts_with("!/"));
    }
}
