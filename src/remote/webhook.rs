//! A few bytes posted to an address: how hooks tell programs elsewhere what happened.
//!
//! Addresses of hooks often hold a secret: no error shows more of one than its host.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use url::Url;

use super::open::install_tls;
use super::runtime;

/// Time between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a text is an address that can be posted to.
pub fn is_web_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Posts JSON, again while nobody answers, within `time`. Any answer of the 2xx kind is a good one; redirects are not
/// followed, since the body is not meant for whoever they lead to.
///
/// # Errors
/// The reason in one line, without the address's path.
pub fn post(address: &str, json: String, time: Duration) -> Result<(), String> {
    let url = Url::parse(address).map_err(|error| format!("its address is none: {error}"))?;
    let place = url.host_str().unwrap_or("its address").to_owned();
    install_tls();
    let client = reqwest::Client::builder().timeout(time).redirect(Policy::none()).build();
    let client = client.map_err(|error| error.without_url().to_string())?;
    let deadline = Instant::now() + time;
    loop {
        let request = client.post(url.clone()).header("content-type", "application/json").body(json.clone());
        let answer = runtime::block_on(async { request.send().await });
        let (reason, final_answer) = match answer {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => (format!("{place} answered {}", answer.status()), !answer.status().is_server_error()),
            Err(error) => (super::error::reason(&error.without_url()), false),
        };
        if final_answer || Instant::now() + PAUSE >= deadline {
            return Err(if reason.contains(&place) { reason } else { format!("{place}: {reason}") });
        }
        std::thread::sleep(PAUSE);
    }
}
