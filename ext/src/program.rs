//! Where the `pagekeep` program is: `PAGEKEEP_BIN`, else beside this library, else along `PATH`.

use std::env;
use std::ffi::{CStr, OsStr, OsString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Access, access};

/// Names the program; it is not looked for elsewhere then.
pub(crate) const VARIABLE: &str = "PAGEKEEP_BIN";
const NAME: &str = "pagekeep";

static BESIDE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Finds out where this library lies, while the name by which it was loaded still means it: the current folder may change.
pub(crate) fn remember_place() {
    BESIDE.get_or_init(|| {
        // SAFETY: zeros are a `Dl_info`; `dladdr` fills it for the address of one of our functions, and its name stays.
        let path = unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            let known = libc::dladdr(remember_place as *const c_void, &raw mut info);
            if known == 0 || info.dli_fname.is_null() {
                return None;
            }
            PathBuf::from(OsStr::from_bytes(CStr::from_ptr(info.dli_fname).to_bytes()))
        };
        Some(path.canonicalize().ok()?.parent()?.to_owned())
    });
}

/// The program.
///
/// # Errors
/// When it is nowhere, with the places where it was looked for.
pub(crate) fn find() -> Result<PathBuf, String> {
    let beside = BESIDE.get().and_then(Option::as_deref);
    find_in(env::var_os(VARIABLE).filter(|path| !path.is_empty()), beside, env::var_os("PATH"))
}

fn find_in(named: Option<OsString>, beside: Option<&Path>, path: Option<OsString>) -> Result<PathBuf, String> {
    if let Some(named) = named.map(PathBuf::from) {
        if is_program(&named) {
            return Ok(named);
        }
        return Err(format!("{VARIABLE} says {}, where there is no program; next: correct it", named.display()));
    }
    let path = path.unwrap_or_default();
    // What is not absolute would change with the current folder, to whoever may write there.
    let along = env::split_paths(&path).filter(|folder| folder.is_absolute());
    let mut places = beside.map(Path::to_owned).into_iter().chain(along).map(|folder| folder.join(NAME));
    places.find(|place| is_program(place)).ok_or_else(|| {
        let beside = beside.map_or_else(String::new, |folder| format!(" beside the extension in {},", folder.display()));
        format!(
            "the program pagekeep, which does this, was not found: {VARIABLE} is not set, and it is not{beside} nor along \
             PATH ({}); next: set {VARIABLE} to its path",
            path.display()
        )
    })
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_place_has_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let named = make("named", 0o755);
        let beside = make("beside/pagekeep", 0o755);
        let along = make("along/pagekeep", 0o755);
        make("not/pagekeep", 0o644);
        let path =
            Some(env::join_paths(["relative".into(), folder.path().join("not"), folder.path().join("along")]).unwrap());
        let near = folder.path().join("beside");
        assert_eq!(find_in(Some(named.clone().into()), Some(&near), path.clone()), Ok(named));
        assert_eq!(find_in(None, Some(&near), path.clone()), Ok(beside));
        assert_eq!(find_in(None, Some(folder.path()), path), Ok(along));
        let missing = find_in(None, Some(folder.path()), Some("/nowhere:/else".into())).unwrap_err();
        for part in ["PAGEKEEP_BIN", folder.path().to_str().unwrap(), "/nowhere:/else"] {
            assert!(missing.contains(part), "{missing}");
        }
        let wrong = find_in(Some("/nowhere/pagekeep".into()), Some(&near), None).unwrap_err();
        assert!(wrong.contains("PAGEKEEP_BIN says /nowhere/pagekeep"), "{wrong}");
    }
}
