//! Folders: the path of a `file:` URL, and one spelling for each absolute path.
//!
//! Refuses to know: the disk. `..` takes away the component before it, also where that is a link.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::error::UrlError;
use super::escape;

/// The path of `file:rest`: RFC 8089, with an empty host or `localhost`.
pub(super) fn parse(rest: &str) -> Result<PathBuf, UrlError> {
    let or = ", or give the plain path without file:";
    if rest.contains('?') {
        return Err(UrlError::Reserved { found: '?', escape: "%3F", or });
    }
    if rest.contains('#') {
        return Err(UrlError::Reserved { found: '#', escape: "%23", or });
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (host, path) = rest.split_at(end);
            if host.contains('@') {
                let instead = "a folder is opened with the rights of the user who runs the program";
                return Err(UrlError::Credentials { place: "before '@'".into(), instead });
            }
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err(UrlError::FileHost);
            }
            path
        }
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(UrlError::RelativeFile);
    }
    normalize(Path::new(&OsString::from_vec(escape::decode(path, "the path")?)))
}

/// An absolute path without `.`, `..` and doubled slashes, by its letters alone.
pub(super) fn normalize(path: &Path) -> Result<PathBuf, UrlError> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(UrlError::ControlCharacter { place: "the path" });
    }
    let mut normal = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            // The parent of the root is the root.
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(normal)
}
