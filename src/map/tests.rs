use super::*;
use crate::format::map::tests::any_part;
use proptest::prelude::*;

/// A map as the obvious thing: one entry per chunk.
type Plain = BTreeMap<(u32, u32), Option<(u8, u32)>>;

fn lay_plain(plain: &mut Plain, part: &MapPart) {
    for file in &part.files {
        for extent in &file.extents {
            for n in 0..extent.count {
                let place = match extent.place.advance(n) {
                    Place::Zeros => None,
                    Place::Slots { pack, first } => Some((part.packs[pack as usize].id.0[0], first.0)),
                };
                plain.insert((file.file.0, extent.first.0 + n), place);
            }
        }
    }
}

fn plain_of(map: &Map) -> Plain {
    let mut plain = Plain::new();
    lay_plain(&mut plain, &map.to_part());
    plain
}

proptest! {
    #[test]
    fn laying_agrees_with_the_obvious_thing(parts in prop::collection::vec(any_part(), 1..5)) {
        let (mut map, mut plain) = (Map::default(), Plain::new());
        for part in &parts {
            map.lay(part);
            lay_plain(&mut plain, part);
        }
        prop_assert_eq!(plain_of(&map), plain.clone());
        for ((file, chunk), place) in plain {
            let found = map.find(FileNumber(file), ChunkNumber(chunk)).unwrap();
            let found = match found {
                Place::Zeros => None,
                Place::Slots { pack, first } => Some((map.pack(pack).id.0[0], first.0)),
            };
            prop_assert_eq!(found, place);
        }
        for extents in map.files.values() {
            prop_assert!(extents.is_sorted_by(|a, b| a.end() <= b.first.0));
        }
    }

    #[test]
    fn truncating_cuts_at_the_chunk(part in any_part(), chunks in 0u32..900) {
        let mut map = Map::default();
        map.lay(&part);
        let mut plain = plain_of(&map);
        let Some(file) = part.files.first().map(|file| file.file) else { return Ok(()) };
        map.truncate(file, chunks);
        plain.retain(|(number, chunk), _| *number != file.0 || *chunk < chunks);
        prop_assert_eq!(plain_of(&map), plain);
    }
}
