//! Pages made by hand, byte by byte, as <https://www.sqlite.org/fileformat2.html> says, and such as SQLite would not write.

use std::sync::Arc;

use super::*;

const SIZE: usize = 512;

/// Pages of 512 bytes.
struct Made(Vec<[u8; SIZE]>);

impl Made {
    /// A first page with a header, and empty pages behind it.
    fn of(count: usize) -> Self {
        let mut pages = vec![[0; SIZE]; count];
        pages[0][..16].copy_from_slice(b"SQLite format 3\0");
        pages[0][16..18].copy_from_slice(&(SIZE as u16).to_be_bytes());
        pages[0][44..48].copy_from_slice(&4u32.to_be_bytes());
        pages[0][56..60].copy_from_slice(&1u32.to_be_bytes());
        Self(pages)
    }

    /// Makes a page one of a tree, with these cells at its end.
    fn tree(&mut self, number: usize, kind: u8, right: u32, cells: &[Vec<u8>]) {
        let start = if number == 1 { 100 } else { 0 };
        let page = &mut self.0[number - 1];
        page[start] = kind;
        page[start + 3..start + 5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
        let interior = kind == 2 || kind == 5;
        if interior {
            page[start + 8..start + 12].copy_from_slice(&right.to_be_bytes());
        }
        let (mut pointer, mut end) = (start + if interior { 12 } else { 8 }, SIZE);
        for cell in cells {
            end -= cell.len();
            page[end..end + cell.len()].copy_from_slice(cell);
            page[pointer..pointer + 2].copy_from_slice(&(end as u16).to_be_bytes());
            pointer += 2;
        }
    }

    fn header(&self) -> DatabaseHeader {
        DatabaseHeader::read(self).unwrap().unwrap()
    }

    /// All rows of a tree; the first failure.
    fn rows(&self, root: u32, numbered: bool) -> Result<Vec<StoredRow>, RowsError> {
        let (header, mut items) = (self.header(), Vec::new());
        walk(self, &header, root, &mut |_| {}, &mut |item| items.push(item))?;
        let mut cursor = Cursor::new(self, &header, &items, numbered);
        std::iter::from_fn(|| cursor.next_row().transpose()).collect()
    }
}

impl Pages for Made {
    fn page_size(&self) -> u32 {
        SIZE as u32
    }

    fn page_count(&self) -> u32 {
        self.0.len() as u32
    }

    fn page(&self, number: u32) -> Result<Arc<[u8]>, PageError> {
        Ok(self.0[number as usize - 1].into())
    }
}

/// A child of an interior page of a table, and the greatest row below it.
fn child(page: u32, rowid: u8) -> Vec<u8> {
    [&page.to_be_bytes()[..], &[rowid]].concat()
}

/// A row of a table: a record with one text.
fn row(rowid: u8, text: &str) -> Vec<u8> {
    let record = [&[2, 13 + 2 * text.len() as u8], text.as_bytes()].concat();
    [&[record.len() as u8, rowid], &record[..]].concat()
}

fn detail(result: Result<impl std::fmt::Debug, RowsError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn varints_of_every_length() {
    for (bytes, value) in [
        (&[0x00][..], 0),
        (&[0x7f], 127),
        (&[0x81, 0x00], 128),
        (&[0xff, 0x7f], 16_383),
        (&[0x81, 0x80, 0x00], 16_384),
        (&[0xff; 9], u64::MAX),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], 1),
    ] {
        assert_eq!(varint(bytes), Some((value, bytes.len())), "{bytes:x?}");
        assert_eq!(varint(&bytes[..bytes.len() - 1]), None, "{bytes:x?}, cut");
    }
    // What lies behind it is not looked at.
    assert_eq!(varint(&[0x05, 0xff]), Some((5, 1)));
}

#[test]
fn values_of_every_serial_type() {
    let mut record = vec![15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17];
    record.extend([0x80]);
    record.extend([0x80, 0x00]);
    record.extend([0xff, 0xff, 0xfe]);
    record.extend([0x7f, 0xff, 0xff, 0xff]);
    record.extend([0x80, 0, 0, 0, 0, 0]);
    record.extend(i64::MIN.to_be_bytes());
    record.extend(1.5f64.to_be_bytes());
    record.extend(b"\x01\x02ab");
    let wanted = [
        Value::Null,
        Value::Integer(-128),
        Value::Integer(-32_768),
        Value::Integer(-2),
        Value::Integer(0x7fff_ffff),
        Value::Integer(-(1 << 47)),
        Value::Integer(i64::MIN),
        Value::Real(1.5),
        Value::Integer(0),
        Value::Integer(1),
        Value::Blob(Vec::new()),
        Value::Text(Vec::new()),
        Value::Blob(vec![1, 2]),
        Value::Text(b"ab".to_vec()),
    ];
    assert_eq!(decode_record(&record).unwrap(), wanted);
    for len in 0..record.len() {
        assert!(decode_record(&record[..len]).is_err(), "cut to {len}");
    }
    assert_eq!(decode_record(&[1]).unwrap(), []);
}

#[test]
fn records_that_are_none() {
    let nan = [&[2, 7][..], &f64::NAN.to_be_bytes()].concat();
    assert_eq!(decode_record(&nan).unwrap(), [Value::Null]);
    for (record, wanted) in [
        (&[][..], "without a header"),
        (&[0], "longer than the record"),
        (&[9, 1], "longer than the record"),
        (&[2, 10], "unknown type"),
        (&[2, 11], "unknown type"),
        (&[2, 0x80], "ends in a number"),
        (&[2, 6, 1], "ends behind"),
        (&[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "ends behind"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "longer than the record"),
    ] {
        let found = decode_record(record).unwrap_err();
        assert!(found.contains(wanted), "{record:x?}: {found}");
    }
}

#[test]
fn a_tree_of_two_levels() {
    let mut made = Made::of(4);
    made.tree(2, 5, 4, &[child(3, 2)]);
    made.tree(3, 13, 0, &[row(1, "a"), row(2, "b")]);
    made.tree(4, 13, 0, &[row(7, "c")]);
    let rows = made.rows(2, true).unwrap();
    assert_eq!(rows.iter().map(|row| (row.rowid, row.page)).collect::<Vec<_>>(), [(1, 3), (2, 3), (7, 4)]);
    assert_eq!(decode_record(&rows[2].record).unwrap(), [Value::Text(b"c".to_vec())]);
    // A row that SQLite would not find there.
    made.tree(4, 13, 0, &[row(2, "c")]);
    assert!(detail(made.rows(2, true)).contains("out of order"));
}

#[test]
fn keys_between_the_children_of_an_index() {
    let key = |text: &str| row(0, text)[2..].to_vec();
    let cell = |text: &str| [&[key(text).len() as u8], &key(text)[..]].concat();
    let mut made = Made::of(4);
    made.tree(2, 2, 4, &[[&3u32.to_be_bytes()[..], &cell("b")].concat()]);
    made.tree(3, 10, 0, &[cell("a")]);
    made.tree(4, 10, 0, &[cell("c"), cell("d")]);
    let rows = made.rows(2, false).unwrap();
    let texts: Vec<u8> = rows.iter().map(|row| *row.record.last().unwrap()).collect();
    assert_eq!(texts, *b"abcd");
    assert!(detail(made.rows(2, true)).contains("not a leaf of this tree"));
}

#[test]
fn trees_that_go_round_in_circles() {
    let mut made = Made::of(4);
    made.tree(3, 13, 0, &[row(1, "a")]);
    // Its own child; the same child twice; no page; a page behind the last; a leaf beside a page with children.
    for (cells, right, wanted) in [
        (vec![child(3, 1)], 2, "already part of the tree"),
        (vec![child(3, 1)], 3, "already part of the tree"),
        (vec![child(3, 1)], 0, "no page at all"),
        (vec![child(3, 1)], 99, "no page at all"),
        (vec![child(2, 1)], 3, "too deep"),
    ] {
        made.tree(2, 5, right, &cells);
        assert!(detail(made.rows(2, true)).contains(wanted), "{right}");
    }
    made.tree(2, 5, 4, &[child(3, 1)]);
    made.tree(4, 5, 3, &[]);
    assert!(detail(made.rows(2, true)).contains("not a leaf"));
    assert!(detail(made.rows(4, false)).contains("not a leaf"));
}

#[test]
fn cells_that_reach_beyond_their_page() {
    let mut made = Made::of(2);
    made.tree(2, 13, 0, &[row(1, "abc")]);
    let good = made.0[1];
    for (at, bytes, wanted) in [
        (0, &[7][..], "belongs to no tree"),
        (3, &[0xff, 0xff], "cannot have"),
        (8, &[0, 3], "outside of the page"),
        (8, &[0x01, 0xfe], "outside of the page"),
        (8, &[0xff, 0xff], "outside of the page"),
    ] {
        made.0[1] = good;
        made.0[1][at..at + bytes.len()].copy_from_slice(bytes);
        assert!(detail(made.rows(2, true)).contains(wanted), "{at}");
    }
    made.tree(2, 13, 0, &[[&[0xff; 9][..], &[1], &[0; 8]].concat()]);
    assert!(detail(made.rows(2, true)).contains("impossible length"));
}

/// A row of 2 045 bytes: by section 1.6 the least number of them, 41, lies on the leaf, and 2 004 on four other pages.
fn long(made: &mut Made, chain: &[u32], last: u32) -> Vec<u8> {
    let record: Vec<u8> = [&[3, 0xa0, 0x01][..], &[b'x'; 2042]].concat();
    let local = (SIZE - 12) * 32 / 255 - 23;
    let len = [0x80 | (record.len() >> 7) as u8, (record.len() & 0x7f) as u8];
    let cell = [&len[..], &[1], &record[..local], &chain[0].to_be_bytes()].concat();
    made.tree(2, 13, 0, &[cell]);
    for (at, (number, part)) in chain.iter().zip(record[local..].chunks(SIZE - 4)).enumerate() {
        let next = chain.get(at + 1).copied().unwrap_or(last);
        let page = &mut made.0[*number as usize - 1];
        page[..4].copy_from_slice(&next.to_be_bytes());
        page[4..4 + part.len()].copy_from_slice(part);
    }
    record
}

#[test]
fn records_on_several_pages() {
    let mut made = Made::of(8);
    let record = long(&mut made, &[5, 3, 8, 4], 0);
    let rows = made.rows(2, true).unwrap();
    assert_eq!(rows[0].record, record);
    let header = made.header();
    let leaf = BtreePage::read(&made, &header, 2, 1).unwrap();
    let mut chain = Vec::new();
    Chains::new(&made).numbers(&made, &header, &leaf.cell(0).unwrap(), 2, &mut |page| chain.push(page)).unwrap();
    assert_eq!(chain, [5, 3, 8, 4]);
    // It ends early, leads nowhere, comes back to itself: no more is read than the length has pages.
    for next in [0, 99] {
        made.0[2][..4].copy_from_slice(&u32::to_be_bytes(next));
        assert!(detail(made.rows(2, true)).contains("refers to page"), "{next}");
    }
    made.0[2][..4].copy_from_slice(&3u32.to_be_bytes());
    assert_eq!(made.rows(2, true).unwrap()[0].record.len(), record.len());
}

#[test]
fn lengths_that_the_database_has_not() {
    let mut made = Made::of(3);
    // 2 GiB, in a database of 1.5 KiB: refused before anything is allocated.
    let most = (0x7fff_ffff - 41) % (SIZE - 4) + 41;
    let local = if most <= SIZE - 35 { most } else { 41 };
    let cell = [&[0x87, 0xff, 0xff, 0xff, 0x7f, 1][..], &vec![0; local], &3u32.to_be_bytes()].concat();
    made.tree(2, 13, 0, &[cell]);
    assert!(detail(made.rows(2, true)).contains("longer than the database"));
    // Each of two rows would fit alone; a page is not read twice.
    let mut made = Made::of(6);
    long(&mut made, &[3, 4, 5, 6], 0);
    let leaf = made.0[1];
    let at = usize::from(u16::from_be_bytes([leaf[8], leaf[9]]));
    let (first, mut second) = (leaf[at..].to_vec(), leaf[at..].to_vec());
    second[2] = 2;
    made.tree(2, 13, 0, &[first, second]);
    assert!(detail(made.rows(2, true)).contains("longer than the database"));
}

#[test]
fn headers_that_are_none() {
    let made = Made::of(1);
    let header = made.header();
    assert_eq!((header.usable_bytes, header.encoding, header.has_pointer_maps), (512, Encoding::Utf8, false));
    for (at, bytes, wanted) in [
        (0, &b"sqlite"[..], "does not begin"),
        (16, &[4, 0], "pages of 1024 bytes"),
        (20, &[33], "only 479 bytes"),
        (56, &[0, 0, 0, 9], "encoding 9"),
    ] {
        let mut made = Made::of(1);
        made.0[0][at..at + bytes.len()].copy_from_slice(bytes);
        assert!(detail(DatabaseHeader::read(&made)).contains(wanted), "{at}");
    }
    assert_eq!(DatabaseHeader::read(&Made(Vec::new())).unwrap(), None);
}

#[test]
fn pages_that_point_to_parents() {
    let mut made = Made::of(1);
    made.0[0][52..56].copy_from_slice(&3u32.to_be_bytes());
    let header = made.header();
    // 512 / 5 entries on each, and one page for itself.
    let found: Vec<u32> = (1..300).filter(|page| header.is_bookkeeping(*page, 512)).collect();
    assert_eq!(found, [2, 105, 208]);
    assert!(header.is_bookkeeping((1 << 30) / 512 + 1, 512));
}
