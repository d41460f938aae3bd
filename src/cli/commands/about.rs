//! `pagekeep completions`, `pagekeep man`.

use clap_complete::Shell;
use serde_json::json;

use crate::cli::args::command;
use crate::cli::output::Output;
use crate::ops::OpError;

pub(crate) fn completions(shell: Shell) -> Output {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "pagekeep", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Output::new(script.clone(), json!({"shell": shell.to_string(), "script": script}))
}

pub(crate) fn man() -> Result<Output, OpError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page).map_err(OpError::io("write", "the manual".as_ref()))?;
    let page = String::from_utf8_lossy(&page).into_owned();
    Ok(Output::new(page.clone(), json!({"page": page})))
}
