//! Answers to C: an error is a text, and so is a panic, which must not get there.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does something that may fail or panic.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(told(panic.as_ref())))
}

fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason is known");
    format!("pagekeep failed at something that cannot happen: {text}; next: report it, with what you did")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_reason() {
        let number = 7;
        assert!(guarded::<()>(|| panic!("plain")).unwrap_err().contains("plain"));
        assert!(guarded::<()>(|| panic!("number {number}")).unwrap_err().contains("number 7"));
        assert!(guarded::<()>(|| std::panic::panic_any(3)).is_err());
    }
}
