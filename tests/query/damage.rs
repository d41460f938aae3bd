//! Stores with a damaged object, under SQLite: the right rows or an error that names what is wrong; never a crash.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pagekeep::remote::Remote;
use pagekeep::remote::double::{Fault, FaultyObjects, Plan, Refusal, Verb};
use pagekeep::store::{ObjectCache, Store};
use rusqlite::types::Value;

use crate::stores::{self, Numbers, needed};
use crate::{DATABASE, Rows, connect, history, rows, truth};

const QUESTIONS: [&str; 4] = [
    "SELECT count(*), sum(length(data)) FROM t NOT INDEXED",
    "SELECT id, hex(data) FROM t WHERE id IN (5, 17, 500, 901)",
    "SELECT * FROM k ORDER BY name",
    "SELECT id FROM t INDEXED BY by_data ORDER BY substr(data, 1, 8)",
];

type Objects = Vec<(String, Vec<u8>)>;

struct Sound {
    objects: Objects,
    answers: Vec<Vec<Rows>>,
}

fn sound() -> Sound {
    let folder = tempfile::tempdir().unwrap();
    let (store, content) = history(folder.path(), 4096, "wal", "UTF-8");
    let answers = content.iter().map(|content| QUESTIONS.iter().map(|sql| truth(content, sql)).collect());
    let mut objects = stores::objects(&store);
    objects.retain(|(key, _)| key != "store.json");
    Sound { answers: answers.collect(), objects }
}

impl Sound {
    /// Asks every snapshot of a store everything; how often it was refused.
    fn ask(&self, store: &Store, what: &str) -> usize {
        let mut refused = 0;
        for (at, answers) in self.answers.iter().enumerate() {
            let asked = catch_unwind(AssertUnwindSafe(|| {
                let session = connect(store, at as u32 + 1)?;
                Ok(QUESTIONS.map(|question| rows(&session, question)))
            }));
            let asked: Result<_, pagekeep::ops::OpError> = asked.unwrap_or_else(|_| panic!("{what}: a panic"));
            let Ok(asked) = asked else {
                refused += QUESTIONS.len();
                continue;
            };
            for (question, (found, expected)) in QUESTIONS.iter().zip(asked.iter().zip(answers)) {
                match found {
                    Ok(found) => assert!(found == expected, "{what}: snapshot {}: wrong rows of {question}", at + 1),
                    Err(pagekeep::ops::OpError::Store(_)) => refused += 1,
                    Err(other) => panic!("{what}: {other:?} does not say what is damaged"),
                }
            }
        }
        refused
    }
}

#[test]
fn each_object_damaged() {
    let sound = sound();
    assert_eq!(sound.ask(&stores::store_of(&sound.objects), "sound"), 0);
    let (mut tried, mut refused) = (0, 0);
    for (at, (key, good)) in sound.objects.iter().enumerate() {
        let mut numbers = Numbers(at as u64);
        let mut damaged: Vec<(String, Option<Vec<u8>>)> = vec![("missing".into(), None)];
        for cut in [0, 1, good.len() / 3, good.len() - 92, good.len() - 1] {
            damaged.push((format!("cut to {cut}"), Some(good[..cut].to_vec())));
        }
        for n in 0..8 {
            let near = if n % 2 == 0 { good.len() } else { good.len().min(4096) };
            let mut bad = good.clone();
            let place = good.len() - 1 - numbers.below(near);
            bad[place] ^= 1 << numbers.below(8);
            damaged.push((format!("flipped at {place}"), Some(bad)));
        }
        let (other, swapped) = &sound.objects[(at + 1) % sound.objects.len()];
        damaged.push((format!("swapped with {other}"), Some(swapped.clone())));
        for (how, bytes) in damaged {
            let mut objects = sound.objects.clone();
            match bytes {
                Some(bytes) => objects[at].1 = bytes,
                None => drop(objects.remove(at)),
            }
            refused += sound.ask(&stores::store_of(&objects), &format!("{key} {how}"));
            tried += 1;
        }
    }
    println!("{tried} damaged stores, {refused} questions refused");
    assert!(refused > tried);
}

/// Whatever happens on the way, with and without a cache that outlives it.
#[test]
fn answers_that_are_refused_torn_or_wrong() {
    let sound = sound();
    let memory = stores::store_of(&sound.objects);
    let folder = tempfile::tempdir().unwrap();
    for (at, fault) in [
        Fault::Tear,
        Fault::Shorten,
        Fault::Lengthen,
        Fault::FlipBit(12_345),
        Fault::FlipBit(7),
        Fault::Swap(sound.objects[0].0.clone()),
        Fault::Refuse(Refusal::NotFound),
        Fault::Refuse(Refusal::ServerError),
        Fault::Refuse(Refusal::Forbidden),
    ]
    .into_iter()
    .enumerate()
    {
        for nth in [1, 2, 3, 5, 9] {
            let what = format!("{fault:?} at {nth}");
            let plan = Plan::new().on(Verb::Get, nth, fault.clone());
            let double = FaultyObjects::new(memory.remote().objects(), plan);
            let remote = memory.remote().with_objects(Arc::new(double.clone()));
            let cache = Arc::new(ObjectCache::open(&folder.path().join(format!("{at}-{nth}")), 64 << 20).unwrap());
            let store = Store::assume(remote).with_cache(cache);
            sound.ask(&store, &what);
            double.reset_with(Plan::new());
            assert_eq!(sound.ask(&store, &format!("after {what}")), 0, "after {what}");
        }
    }
}

#[test]
fn the_object_at_fault_is_named() {
    let sound = sound();
    let store = stores::store_of(&sound.objects);
    let pack = needed(&store, DATABASE, 1).into_iter().find(|key| key.starts_with("packs/"));
    let key = pack.expect("the first snapshot has a pack of its own");
    let mut objects = sound.objects.clone();
    let object = objects.iter_mut().find(|(found, _)| *found == key).unwrap();
    let middle = object.1.len() / 2;
    object.1[middle..middle + 20_000].fill(0);
    let session = connect(&stores::store_of(&objects), 1).unwrap();
    let error = rows(&session, QUESTIONS[0]).unwrap_err();
    let id = key.rsplit('/').next().unwrap();
    let said = format!("{error}");
    assert!(said.contains(id) && error.kind() == pagekeep::ops::ErrorKind::Corruption, "{error:?}");
    // What does not touch the damage is still answered.
    assert_eq!(rows(&session, "SELECT 1 FROM sqlite_schema LIMIT 1").unwrap(), [[Value::Integer(1)]]);

    objects.retain(|(found, _)| *found != key);
    let Err(error) = connect(&stores::store_of(&objects), 1) else { panic!("page 1 is gone") };
    assert!(error.to_string().contains(id), "{error}");

    let nobody = FaultyObjects::new(
        store.remote().objects(),
        Plan::new().each(Verb::Get, "", Fault::Refuse(Refusal::Unreachable)),
    );
    let gone = Store::assume(Remote::new(Arc::new(nobody), Default::default(), "far"));
    let Err(error) = connect(&gone, 1) else { panic!("nobody is there") };
    assert_eq!(error.kind(), pagekeep::ops::ErrorKind::Temporary);
}
