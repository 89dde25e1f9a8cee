//! Settings from the environment, which override the file's.

use std::net::SocketAddr;

use super::Settings;
use super::address::parse_address;
use super::check::address_conflicts;
use super::listen::Listen;
use crate::fault::Fault;

/// The variables with what they set.
pub(super) const VARIABLES: [(&str, &str); 3] = [
    (
        "TIDEGATE_LISTEN",
        "the one address to listen on, in place of all in the file; TLS and `h2c` are those of the file's first",
    ),
    ("TIDEGATE_ADMIN", "`admin.address`"),
    ("TIDEGATE_LOG", "`log.level`"),
];

// === impl Settings ===

impl Settings {
    /// Takes over what the environment sets; `lookup` gives a variable's value. On faults nothing is changed.
    pub fn apply_env(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        let mut next = self.clone();
        let mut read = |name: &str, set: &mut dyn FnMut(&str) -> Result<(), String>| {
            if let Some(Err(why)) = lookup(name).map(|value| set(&value)) {
                faults.push(Fault::in_file("environment", format!("{name}: {why}")));
            }
        };
        read("TIDEGATE_LISTEN", &mut |value| {
            next.listen_on(parse_address(value)?);
            Ok(())
        });
        read("TIDEGATE_ADMIN", &mut |value| {
            next.admin.address = parse_address(value)?;
            Ok(())
        });
        read("TIDEGATE_LOG", &mut |value| {
            next.log.level = value.parse()?;
            Ok(())
        });
        if faults.is_empty() {
            let conflicts = address_conflicts(&next).into_iter();
            faults.extend(conflicts.map(|(_, message)| Fault::in_file("environment", message)));
        }
        if faults.is_empty() {
            *self = next;
            Ok(())
        } else {
            Err(faults)
        }
    }

    /// Listens on one address only, with TLS and HTTP/2 as the first listener has them.
    pub fn listen_on(&mut self, address: SocketAddr) {
        match self.listen.first_mut() {
            Some(first) => first.address = address,
            None => self.listen.push(Listen::plain(address).into()),
        }
        self.listen.truncate(1);
    }
}
