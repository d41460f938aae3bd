//! Promises about listings.

use pagekeep::remote::{Listed, Remote};

use crate::Rule;

pub(crate) const RULES: &[Rule] = crate::rules![
    a_listing_has_what_lies_below_and_no_more,
    a_listing_is_in_order_of_keys,
    the_first_are_the_smallest,
    a_listing_goes_on_over_pages,
    an_empty_folder_lists_as_empty,
    a_new_object_is_listed_at_once,
];

/// Puts `count` objects below a folder, named by their numbers; each is as long as its number's last digit.
pub(crate) fn fill(remote: &Remote, folder: &str, count: usize) {
    const THREADS: usize = 16;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for n in (thread..count).step_by(THREADS) {
                    remote.put_new(&format!("{folder}/{n:05}"), vec![b'x'; n % 10]).unwrap();
                }
            });
        }
    });
}

fn keys(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|object| object.key.as_str()).collect()
}

fn put_all(remote: &Remote, keys: &[&str]) {
    for key in keys {
        remote.put_new(key, key.to_string()).unwrap();
    }
}

fn a_listing_has_what_lies_below_and_no_more(remote: &Remote) {
    put_all(remote, &["a/b/1", "a/b/2/3", "a/bc", "a/bd/1", "a/b-c", "a/b!", "a/b.c/1", "ab/1", "A/b/1", "b/1"]);
    assert_eq!(keys(&remote.list("a/b").unwrap()), ["a/b/1", "a/b/2/3"]);
    assert_eq!(keys(&remote.list_first("a/b", 5).unwrap()), ["a/b/1", "a/b/2/3"]);
    assert_eq!(keys(&remote.list("a/b/2").unwrap()), ["a/b/2/3"]);
    assert_eq!(keys(&remote.list("A").unwrap()), ["A/b/1"]);
    assert_eq!(keys(&remote.list("b").unwrap()), ["b/1"]);
}

fn a_listing_is_in_order_of_keys(remote: &Remote) {
    // In order of bytes: `!` `-` `.` come before the `/` that ends a folder's name, `0` `A` `_` `a` behind it.
    let ordered = ["o/B", "o/a!/x", "o/a-/x", "o/a-b", "o/a./x", "o/a/x", "o/a/y/z", "o/a0/x", "o/aA", "o/a_/x", "o/b"];
    let mut shuffled = ordered;
    shuffled.reverse();
    shuffled.swap(0, 5);
    put_all(remote, &shuffled);
    assert_eq!(keys(&remote.list("o").unwrap()), ordered);
    assert_eq!(keys(&remote.list("").unwrap()), ordered);
    for (object, key) in remote.list("o").unwrap().iter().zip(ordered) {
        assert_eq!(object.size, key.len() as u64, "{key}");
    }
}

fn the_first_are_the_smallest(remote: &Remote) {
    put_all(remote, &["l/fffffff0-15", "l/fffffffe-1", "l/fffffff9-6", "l/fffffff1-14", "l/ffffffef-16"]);
    assert_eq!(remote.list_first("l", 0).unwrap(), []);
    assert_eq!(keys(&remote.list_first("l", 1).unwrap()), ["l/ffffffef-16"]);
    assert_eq!(keys(&remote.list_first("l", 2).unwrap()), ["l/ffffffef-16", "l/fffffff0-15"]);
    assert_eq!(remote.list_first("l", 5).unwrap(), remote.list("l").unwrap());
    assert_eq!(remote.list_first("l", 6).unwrap(), remote.list("l").unwrap());
}

fn a_listing_goes_on_over_pages(remote: &Remote) {
    // Servers give a thousand at a time.
    const COUNT: usize = 2100;
    fill(remote, "many", COUNT);
    let names: Vec<String> = (0..COUNT).map(|n| format!("many/{n:05}")).collect();
    let all = remote.list("many").unwrap();
    assert_eq!(keys(&all), names);
    assert!(all.iter().enumerate().all(|(n, object)| object.size == n as u64 % 10));
    for first in [1, 10, 999, 1000, 1001, 2000, 2001, 2099, 2100, 5000] {
        assert_eq!(remote.list_first("many", first).unwrap(), all[..first.min(COUNT)], "{first}");
    }
}

fn an_empty_folder_lists_as_empty(remote: &Remote) {
    for folder in ["", "a", "a/b"] {
        assert_eq!(remote.list(folder).unwrap(), [], "{folder:?}");
        assert_eq!(remote.list_first(folder, 1).unwrap(), [], "{folder:?}");
    }
    remote.put_new("a/b/c", "x").unwrap();
    assert_eq!(remote.list("a/x").unwrap(), []);
    // What is an object is no folder.
    assert_eq!(remote.list("a/b/c").unwrap(), []);
    remote.delete("a/b/c").unwrap();
    for folder in ["", "a", "a/b"] {
        assert_eq!(remote.list(folder).unwrap(), [], "{folder:?}");
    }
}

fn a_new_object_is_listed_at_once(remote: &Remote) {
    for n in 0..20 {
        let key = format!("new/{n:02}");
        remote.put_new(&key, "x").unwrap();
        assert_eq!(remote.list("new").unwrap().last().unwrap().key, key);
    }
    for n in (0..20).rev() {
        remote.delete(&format!("new/{n:02}")).unwrap();
        assert_eq!(remote.list("new").unwrap().len(), n);
    }
}
