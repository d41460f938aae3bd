use super::*;
use proptest::prelude::*;

fn target(number: u32) -> RefTarget {
    RefTarget { line: Name::main_line(), number: SnapshotNumber(number), id: SnapshotId([number as u8; 32]) }
}

fn moment() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn done(marks: &mut Marks, act: Act, number: u32) -> Result<bool, Refusal> {
    marks.apply(act, &target(number), moment(), "shop", Some("because"))
}

fn header() -> MarksHeader {
    let nonce: Nonce = "00112233445566778899aabbccddeeff".parse().unwrap();
    let mut marks = Marks::default();
    for number in [2, 3, 7] {
        done(&mut marks, Act::Forget, number).unwrap();
    }
    done(&mut marks, Act::Prune, 2).unwrap();
    done(&mut marks, Act::Prune, 3).unwrap();
    done(&mut marks, Act::Hold, 5).unwrap();
    let (marked, pruned) = marks.to_parts();
    MarksHeader {
        format: 1,
        database: Name::new("app").unwrap(),
        lineage: nonce.clone(),
        number: MarksNumber(4),
        previous: Some(MarksId([6; 32])),
        act: Act::Hold,
        snapshots: vec![target(5)],
        marked,
        pruned,
        created_at: moment(),
        host: "shop".into(),
        tool: "pagekeep 0.1.0".into(),
        nonce,
        reason: None,
    }
}

#[test]
fn round_trips() {
    for reason in [None, Some("größer".to_owned())] {
        let header = MarksHeader { reason, ..header() };
        let (bytes, id) = MarksRecord::encode(&header);
        assert_eq!(MarksRecord::decode(&bytes).unwrap(), MarksRecord { id, header });
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let (good, _) = MarksRecord::encode(&header());
    for len in 0..good.len() {
        assert!(MarksRecord::decode(&good[..len]).is_err(), "cut to {len}");
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(MarksRecord::decode(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn of_a_prune_the_ranges_say_enough() {
    let header = MarksHeader { act: Act::Prune, snapshots: Vec::new(), ..header() };
    assert_eq!(MarksRecord::decode(&MarksRecord::encode(&header).0).unwrap().header, header);
}

#[test]
fn what_no_writer_makes_is_refused() {
    let range =
        |first, last| Pruned { line: Name::main_line(), first: SnapshotNumber(first), last: SnapshotNumber(last) };
    let (five, seven) = (header().marked[0].clone(), header().marked[1].clone());
    let wrong = [
        MarksHeader { format: 2, ..header() },
        MarksHeader { format: 0, ..header() },
        MarksHeader { number: MarksNumber(0), previous: None, ..header() },
        MarksHeader { number: MarksNumber(1), ..header() },
        MarksHeader { previous: None, ..header() },
        MarksHeader { snapshots: Vec::new(), ..header() },
        MarksHeader { snapshots: vec![target(0)], ..header() },
        MarksHeader { marked: vec![seven.clone(), five.clone()], ..header() },
        MarksHeader { marked: vec![five.clone(), five.clone()], ..header() },
        MarksHeader { marked: vec![Marked { number: SnapshotNumber(0), ..five.clone() }], ..header() },
        MarksHeader { marked: vec![Marked { number: SnapshotNumber(3), ..five }], ..header() },
        MarksHeader { pruned: vec![range(3, 2)], ..header() },
        MarksHeader { pruned: vec![range(0, 2)], ..header() },
        MarksHeader { pruned: vec![range(1, 2), range(3, 4)], ..header() },
        MarksHeader { pruned: vec![range(3, 4), range(1, 1)], ..header() },
        MarksHeader { pruned: vec![range(1, 1), Pruned { line: Name::new("a").unwrap(), ..range(1, 1) }], ..header() },
    ];
    for header in wrong {
        assert!(MarksRecord::decode(&MarksRecord::encode(&header).0).is_err(), "{header:?}");
    }
    let text = serde_json::to_string(&header()).unwrap();
    for (from, to) in
        [("\"hold\"", "\"keep\""), ("{", "{\"x\":1,"), ("\"id\"", "\"y\":1,\"id\""), ("\"held\"", "\"?\"")]
    {
        assert!(MarksHeader::decode(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn a_hold_and_a_forgetting_exclude_one_another() {
    let mut marks = Marks::default();
    assert_eq!(done(&mut marks, Act::Hold, 1), Ok(true));
    assert_eq!(done(&mut marks, Act::Hold, 1), Ok(false));
    assert!(matches!(done(&mut marks, Act::Forget, 1), Err(Refusal::Held(one)) if one.number.0 == 1));
    assert!(matches!(done(&mut marks, Act::Prune, 1), Err(Refusal::Held(_))));
    assert_eq!(done(&mut marks, Act::Recall, 1), Err(Refusal::NotForgotten));
    assert_eq!(done(&mut marks, Act::Release, 1), Ok(true));
    assert_eq!(done(&mut marks, Act::Release, 1), Ok(false));
    assert_eq!(done(&mut marks, Act::Prune, 1), Err(Refusal::NotForgotten));
    assert_eq!(done(&mut marks, Act::Forget, 1), Ok(true));
    assert_eq!(done(&mut marks, Act::Forget, 1), Ok(false));
    assert!(marks.is_forgotten(&target(1).name()) && !marks.is_pruned(&target(1).name()));
    assert_eq!(done(&mut marks, Act::Hold, 1), Ok(true), "a hold from elsewhere brings it back");
    assert!(marks.is_held(&target(1).name()) && !marks.is_forgotten(&target(1).name()));
}

#[test]
fn what_was_pruned_does_not_come_back() {
    let mut marks = Marks::default();
    for number in [4, 2, 3, 9] {
        done(&mut marks, Act::Forget, number).unwrap();
        assert_eq!(done(&mut marks, Act::Prune, number), Ok(true));
        assert_eq!(done(&mut marks, Act::Prune, number), Ok(false));
    }
    for act in [Act::Hold, Act::Release, Act::Forget, Act::Recall] {
        assert_eq!(done(&mut marks, act, 3), Err(Refusal::Pruned));
    }
    let ranges: Vec<_> = marks.pruned_ranges(&Name::main_line()).iter().map(|(a, b)| (a.0, b.0)).collect();
    assert_eq!(ranges, [(2, 4), (9, 9)]);
    assert!(marks.all().next().is_none());
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = MarksRecord::decode(&bytes);
        let _ = MarksHeader::decode(&bytes);
    }

    #[test]
    fn whatever_is_done_can_be_written_and_read(acts in proptest::collection::vec((0u8..5, 1u32..20, 0u8..2), 1..60)) {
        let mut marks = Marks::default();
        for (act, number, line) in acts {
            let act = [Act::Hold, Act::Release, Act::Forget, Act::Recall, Act::Prune][act as usize];
            let line = Name::new(["main", "fix"][line as usize]).unwrap();
            let before = marks.clone();
            let outcome = marks.apply(act, &RefTarget { line, ..target(number) }, moment(), "shop", None);
            prop_assert_eq!(outcome == Ok(true), marks != before);
            let (marked, pruned) = marks.to_parts();
            let header = MarksHeader { marked, pruned, ..header() };
            let read = MarksRecord::decode(&MarksRecord::encode(&header).0).unwrap();
            prop_assert_eq!(Marks::of(&read.header).unwrap(), marks.clone());
        }
    }
}
