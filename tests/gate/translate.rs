//! Clients of one dialect before upstreams of another, over real sockets: what each side says and hears.

mod asked;
mod breaks;
mod clients;
mod continued;
mod errors;
mod failover;
mod hooks;
mod keys;
mod lists;
mod losses;
mod scenes;
mod streams;
mod table;
mod thoughts;
mod upstreams;

use crate::support::bundle::Bundled;
use crate::support::service::Service;

/// A gate before one upstream of a dialect, after whatever else its table says.
fn gate(dialect: &str, upstream: &Service, more: &str) -> Bundled {
    let settings = format!("[upstreams.up]\nurl = \"{}\"\ndialect = \"{dialect}\"\n{more}\n", upstream.url());
    Bundled::serve(&[("tidegate.toml", &settings)])
}

/// The same with a policy.
fn gate_with(dialect: &str, upstream: &Service, lua: &str) -> Bundled {
    let settings = format!(
        "[upstreams.up]\nurl = \"{}\"\ndialect = \"{dialect}\"\n[[policies]]\nfile = \"p.lua\"\n",
        upstream.url()
    );
    Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)])
}
