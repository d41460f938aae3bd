use super::ids::{IdIndex, IdsFile, IdsWriter};
use super::*;
use crate::base::{ChunkId, ChunkNumber, FileNumber, PackId, SlotContent};
use std::time::Duration;

fn workspace() -> (tempfile::TempDir, Workspace) {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::create(folder.path()).unwrap();
    (folder, workspace)
}

#[test]
fn configuration_survives_and_mistakes_are_named() {
    let (folder, mut workspace) = workspace();
    let name = workspace.add_database(&folder.path().join("app.db"), SourceKind::Sqlite, None).unwrap();
    let other = workspace.add_database(&folder.path().join("app.sqlite"), SourceKind::Sqlite, None).unwrap();
    assert_eq!((name.as_str(), other.as_str()), ("app", "app.sqlite"));
    let again = Workspace::open(folder.path()).unwrap().unwrap();
    assert_eq!(again.config, workspace.config);

    let path = workspace.path("config.toml");
    let error = |text: &str| Config::parse(text, &path).unwrap_err().to_string();
    assert!(
        error("format = 1\n[setings]\n").contains("did you mean 'settings'"),
        "{}",
        error("format = 1\n[setings]\n")
    );
    assert!(error("format = 1\n[settings]\nkep = 'all'\n").contains("did you mean 'keep'"));
    assert!(error("format = 1\n[settings]\nkeep = 'some'\n").contains("none of auto"));
    assert!(error("format = 2\n").contains("newer"));
}

#[test]
fn stronger_settings_win() {
    let mut settings = Settings::default();
    settings.set("level", "5", Origin::Flag).unwrap();
    settings.set("level", "9", Origin::Folder).unwrap();
    assert_eq!(settings.level(), 5);
    assert!(settings.set("lock_wait", "1x", Origin::Flag).is_err());
    assert_eq!(duration("26h").unwrap(), Duration::from_secs(26 * 3600));
}

#[test]
fn the_lock_keeps_others_out_and_names_its_holder() {
    let (_folder, workspace) = workspace();
    let held = workspace.lock(Duration::ZERO).unwrap();
    let refused = workspace.lock(Duration::from_millis(50)).unwrap_err().to_string();
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
    drop(held);
    workspace.lock(Duration::ZERO).unwrap();
}

#[test]
fn ids_are_found_by_place_and_by_content() {
    let (folder, _workspace) = workspace();
    let path = folder.path().join("x.ids");
    let ids: Vec<ChunkId> = (0..5000u32).map(|n| ChunkId::of(&n.to_le_bytes())).collect();
    let mut writer = IdsWriter::create(folder.path()).unwrap();
    writer.begin(FileNumber(1));
    writer.push(&ids[..3000]).unwrap();
    writer.begin(FileNumber(4));
    writer.push(&ids[3000..]).unwrap();
    writer.finish(&path).unwrap();

    let file = IdsFile::open(&path).unwrap();
    assert_eq!((file.count(FileNumber(1)), file.count(FileNumber(4)), file.count(FileNumber(2))), (3000, 2000, 0));
    let index = IdIndex::build(&file).unwrap();
    for (n, id) in ids.iter().enumerate() {
        let expected = if n < 3000 { (FileNumber(1), n) } else { (FileNumber(4), n - 3000) };
        assert_eq!(index.find(id).unwrap(), Some((expected.0, ChunkNumber(expected.1 as u32))));
    }
    assert_eq!(index.find(&ChunkId::of(b"other")).unwrap(), None);
    let bytes = std::fs::read(&path).unwrap();
    for len in [0, 7, 8, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(IdsFile::open(&path).is_none(), "cut to {len}");
    }
}

#[test]
fn uploads_are_recalled_until_cleared_and_only_when_whole() {
    let (_folder, workspace) = workspace();
    let uploads = workspace.uploads("offsite", &Name::new("app").unwrap());
    let ids = [b"a", b"b"].map(|text| SlotContent { id: ChunkId::of(text), is_delta: false });
    let pack = PackId([1; 32]);
    uploads.note(&pack, &ids);
    let chunks = uploads.recall(&[]);
    assert_eq!(chunks.find(&ids[1].id), Some((pack, crate::base::SlotNumber(1))));
    let note = workspace.path(&format!("uploads/offsite/app/{pack}"));
    let bytes = std::fs::read(&note).unwrap();
    std::fs::write(&note, &bytes[32..]).unwrap();
    assert_eq!(uploads.recall(&[]).find(&ids[1].id), None, "half a note");
    std::fs::write(&note, &bytes).unwrap();
    uploads.clear().unwrap();
    assert_eq!(uploads.recall(&[]).find(&ids[1].id), None);
}
