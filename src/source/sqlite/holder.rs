//! Who holds a lock on a file, as far as Linux says.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The program that holds a lock on this file, as `name (process 123)`; `None` when the system does not say.
pub(super) fn of(path: &Path) -> Option<String> {
    let inode = fs::metadata(path).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let own = std::process::id();
    let holder = locks.lines().filter_map(parse).find(|lock| lock.inode == inode && lock.process != own)?;
    let name = fs::read_to_string(format!("/proc/{}/comm", holder.process)).unwrap_or_default();
    Some(format!("{} (process {})", name.trim(), holder.process).trim_start().to_owned())
}

struct Lock {
    process: u32,
    inode: u64,
}

/// A line of /proc/locks: `1: POSIX  ADVISORY  WRITE 1234 08:01:567 0 EOF` (proc(5)).
fn parse(line: &str) -> Option<Lock> {
    let mut fields = line.split_whitespace().skip_while(|field| *field != "WRITE" && *field != "READ").skip(1);
    let process = fields.next()?.parse().ok()?;
    let inode = fields.next()?.rsplit(':').next()?.parse().ok()?;
    Some(Lock { process, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_the_kernels() {
        let lock = parse("3: POSIX  ADVISORY  WRITE 4711 fd:00:133 1073741825 1073741825").unwrap();
        assert_eq!((lock.process, lock.inode), (4711, 133));
        assert!(parse("nonsense").is_none());
    }
}
