//! What mutation begins with: for each target a few inputs that are good.

use std::fs;
use std::path::Path;

use pagekeep::format::codec::{DeltaEncoder, FrameEncoder};
use pagekeep::format::pack::FOOTER_LEN;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden/v1").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What lies in the zstd frame at the end of `bytes`.
fn unzstd(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).expect("a golden frame")
}

/// The text behind an object's header.
fn text(object: &[u8]) -> Vec<u8> {
    let stored = u32::from_le_bytes(object[24..28].try_into().expect("4 bytes")) as usize;
    unzstd(&object[32..32 + stored])
}

/// A pack's table, decompressed, with the numbers that the target wants before it.
fn table(pack: &[u8]) -> Vec<u8> {
    let footer_at = pack.len() - FOOTER_LEN;
    let number = |at: usize| u32::from_le_bytes(pack[footer_at + at..][..4].try_into().expect("4 bytes"));
    let table_at = footer_at - number(4) as usize;
    let mut seed = Vec::new();
    for number in [number(12), number(16), table_at as u32 - 16, 0] {
        seed.extend_from_slice(&(number as u16).to_le_bytes());
    }
    seed.extend(unzstd(&pack[table_at..footer_at]));
    seed
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let packs = || vec![fixture("whole.pack"), fixture("delta.pack")];
    let all_packs = || [packs(), vec![fixture("pruned/sparse.pack")]].concat();
    match target {
        "pack" => all_packs(),
        "footer" => packs().iter().map(|pack| pack[pack.len() - FOOTER_LEN..].to_vec()).collect(),
        "table" => all_packs().iter().map(|pack| table(pack)).collect(),
        "map" => vec![fixture("part.map")],
        "map_content" => vec![unzstd(&fixture("part.map")[4..])],
        "record" => vec![fixture("snapshot.record")],
        "record_content" => {
            let record = fixture("snapshot.record");
            vec![record[16..record.len() - 48].to_vec()]
        }
        "record_header" => vec![fixture("snapshot.json")],
        "husk_content" => {
            let husk = fixture("pruned/pruned.husk");
            vec![husk[16..].to_vec()]
        }
        "new_map_header" => vec![text(&fixture("pruned/new.map"))],
        "text" => ["bundle.idx", "bare.idx", "session", "tombstone", "sessions"]
            .iter()
            .map(|name| text(&fixture(&format!("pruned/{name}"))))
            .collect(),
        "marks" => vec![fixture("forget.marks")],
        "marks_text" => vec![fixture("forget.marks.json")],
        "reference" => vec![fixture("tag.ref"), fixture("line.ref")],
        "reference_text" => vec![fixture("tag.ref.json"), fixture("line.ref.json")],
        "store_file" => vec![fixture("store.json")],
        "key_slot" => vec![fixture("sealed/key_slot")],
        "sealed" => vec![fixture("sealed/record"), fixture("sealed/pack")],
        "sealed_footer" => packs()
            .iter()
            .map(|pack| {
                let footer = &pack[pack.len() - FOOTER_LEN..];
                let frames = u32::from_le_bytes(footer[12..16].try_into().expect("4 bytes"));
                let len = pack.len() as u64 + 40 * (u64::from(frames) + 2);
                [&len.to_le_bytes()[..], footer].concat()
            })
            .collect(),
        "hidden_key" => String::from_utf8(fixture("sealed/names.txt"))
            .expect("text")
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.1.as_bytes().to_vec()))
            .collect(),
        "frame" => [&b""[..], b"a frame of some words, words, words", &[0; 5000]]
            .iter()
            .map(|raw| [&(raw.len() as u32).to_le_bytes()[..], &FrameEncoder::new(3).encode(raw)].concat())
            .collect(),
        "delta" => {
            let bases: Vec<u8> = (0..64 * 64).map(|n: usize| (n * 7 % 251) as u8).collect();
            let mut changed = bases.clone();
            changed[1000] = 0;
            let delta = DeltaEncoder::new().encode(&bases, &changed);
            vec![[&(changed.len() as u16).to_le_bytes()[..], &[64], &delta].concat()]
        }
        "spec" => texts(&[
            "app@3",
            "my app:try@latest~2",
            "@2026-11-01T10:00:00Z",
            "@yesterday",
            "@26h",
            "@3fa4",
            "x@2026-11-01",
        ]),
        "url" => texts(&[
            "s3://bucket/a/prefix?region=eu-central-1&endpoint=https://host:9000",
            "gs://bucket/a%20b",
            "az://account/container/prefix",
            "az://container/prefix?account=me",
            "file:///a/b%20c",
            "../folder/x",
            "~/backups",
        ]),
        "config" => texts(&[
            "format = 1\n[settings]\nkeep = \"latest\"\nlevel = \"3\"\nexclude = \"*.tmp,cache/**\"\nlock_wait = \"30s\"\nspool = \"1GiB\"\n",
            "format = 1\n[databases.app]\npath = \"app.db\"\nkind = \"sqlite\"\nlineage = \"00112233445566778899aabbccddeeff\"\nline = \"main\"\n",
            "format = 1\n[remotes.there]\nurl = \"file:///x\"\nstore_id = \"00112233445566778899aabbccddeeff\"\nconditional_put = true\n",
        ]),
        "rows" => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/databases/small.db");
            vec![fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))]
        }
        // NULL, 1, a byte, a text, bytes, a floating-point number.
        "values" => vec![b"\x07\x00\x09\x01\x11\x10\x07\x7fab\x00\xff\x3f\xf8\x00\x00\x00\x00\x00\x00".to_vec()],
        _ => Vec::new(),
    }
}

/// Makes a folder of inputs for each target, and prints the targets' names.
///
/// # Errors
/// When they cannot be written.
pub fn write(folder: &std::path::Path) -> std::io::Result<()> {
    for (target, _) in crate::TARGETS {
        let own = folder.join(target);
        std::fs::create_dir_all(&own)?;
        for (number, seed) in of(target).iter().enumerate() {
            std::fs::write(own.join(format!("seed-{number}")), seed)?;
        }
        println!("{target}");
    }
    Ok(())
}
