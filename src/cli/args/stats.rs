//! What can be said to `pagekeep stats`.

use std::ffi::OsString;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// A remote's name, an address, or . for the local store
    #[arg(default_value = ".")]
    pub(crate) from: OsString,
    /// What a gigabyte (10^9 bytes) costs for a month
    #[arg(long, value_name = "PRICE", default_value_t = 0.0, hide_default_value = true, value_parser = price)]
    pub(crate) price_gb: f64,
    /// What 1000 writes cost
    #[arg(long, value_name = "PRICE", default_value_t = 0.0, hide_default_value = true, value_parser = price)]
    pub(crate) price_put: f64,
    /// What 1000 reads cost
    #[arg(long, value_name = "PRICE", default_value_t = 0.0, hide_default_value = true, value_parser = price)]
    pub(crate) price_get: f64,
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if price.is_finite() && price >= 0.0 { Ok(price) } else { Err("a price is a number from 0 on".into()) }
}
