//! What must hold between settings that are each right on their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::Settings;
use super::collection::Placed;
use super::parse::Reader;
use super::upstream::Upstream;
use crate::upstream::balance::MOST_ENDPOINTS;

/// Line and column.
type At = (usize, usize);

/// Notes every contradiction in `settings`.
pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    check_listeners(settings, reader);
    check_upstreams(settings, reader);
    check_policies(settings, reader);
    check_sizes(settings, reader);
}

/// The addresses that cannot be opened together, or not without being asked for; also used after the environment
/// changed one.
pub(super) fn address_conflicts(settings: &Settings) -> Vec<(At, String)> {
    let mut conflicts = Vec::new();
    let admin = (settings.admin.address, settings.admin.place, "the admin address");
    let listeners = settings.listen.iter().map(|listen| (listen.address, listen.place, "another listener"));
    let mut seen: Vec<(SocketAddr, At, &str)> = Vec::new();
    for (address, place, what) in listeners.chain([admin]) {
        if let Some((other, ..)) = seen.iter().find(|(other, ..)| overlap(*other, address)) {
            let who = if what == admin.2 { "the admin address" } else { "this listener" };
            conflicts.push((place, format!("{who} {address} is in conflict with the listener {other}")));
        }
        seen.push((address, place, what));
    }
    let admin = &settings.admin;
    if !admin.address.ip().to_canonical().is_loopback() && !admin.public {
        conflicts.push((
            admin.place,
            format!("admin.address: {} is not loopback: set `admin.public = true` to open it", admin.address),
        ));
    }
    conflicts
}

/// Whether two addresses cannot be listened on together.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let wildcard = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || wildcard)
}

fn check_listeners(settings: &Settings, reader: &mut Reader<'_>) {
    if settings.listen.is_empty() && reader.understood("listen") {
        reader.fault_at((1, 1), "listen: the gate needs at least one address");
    }
    for (place, message) in address_conflicts(settings) {
        reader.fault_at(place, message);
    }
    for listen in &settings.listen {
        if listen.h2c && listen.tls.is_some() {
            reader.fault_at(listen.place, "listen: `h2c` is HTTP/2 without TLS, but `tls` is set");
        }
    }
}

fn check_upstreams(settings: &Settings, reader: &mut Reader<'_>) {
    let mut default: Option<(&str, usize)> = None;
    for (name, upstream) in &settings.upstreams {
        check_addresses(name, upstream, reader);
        check_trust(name, upstream, reader);
        check_balance(name, upstream, reader);
        if !upstream.default {
            continue;
        }
        if let Some((other, line)) = default {
            let message = format!("upstreams.{name}.default: `{other}` (line {line}) is the default already");
            reader.fault_at(upstream.place, message);
        } else {
            default = Some((name, upstream.place.0));
        }
    }
}

/// An upstream needs an address, written one way, and its endpoints need different names.
fn check_addresses(name: &str, upstream: &Placed<Upstream>, reader: &mut Reader<'_>) {
    let at = upstream.place;
    let understood = ["url", "endpoints"].iter().all(|key| reader.understood(&format!("upstreams.{name}.{key}")));
    match (&upstream.url, upstream.endpoints.is_empty()) {
        (None, true) if understood => {
            reader.fault_at(at, format!("upstreams.{name}: needs `url` or `endpoints`"));
        }
        (Some(_), false) => {
            reader.fault_at(at, format!("upstreams.{name}: has both `url` and `endpoints`; write one"));
        }
        _ => {}
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for endpoint in &upstream.endpoints {
        let label = endpoint.label();
        if let Some(line) = seen.get(&label) {
            let message = format!(
                "upstreams.{name}.endpoints: there is an endpoint `{label}` already (line {line}); give each a `name`"
            );
            reader.fault_at(endpoint.place, message);
        }
        seen.insert(label, endpoint.place.0);
    }
}

/// What endpoints are chosen by, left alone for and asked for has bounds.
fn check_balance(name: &str, upstream: &Placed<Upstream>, reader: &mut Reader<'_>) {
    let Upstream { balance, breaker, probe, endpoints, .. } = &**upstream;
    let percents = [("balance.headroom", balance.headroom), ("breaker.percent", breaker.percent.get())];
    for (key, _) in percents.iter().filter(|(_, percent)| *percent > 100) {
        reader.fault_at(upstream.place, format!("upstreams.{name}.{key}: is more than 100 percent"));
    }
    if breaker.open > breaker.longest {
        reader.fault_at(upstream.place, format!("upstreams.{name}.breaker.open: is longer than `longest`"));
    }
    if probe.as_ref().is_some_and(|probe| !probe.path.starts_with('/')) {
        reader.fault_at(upstream.place, format!("upstreams.{name}.probe.path: must start with `/`"));
    }
    if endpoints.len() > MOST_ENDPOINTS {
        let message =
            format!("upstreams.{name}.endpoints: are more than {MOST_ENDPOINTS}, which is as many as are looked at");
        reader.fault_at(upstream.place, message);
    }
}

/// Settings of certificates mean nothing without TLS, and someone relies on them.
fn check_trust(name: &str, upstream: &Placed<Upstream>, reader: &mut Reader<'_>) {
    let addresses = upstream.addresses();
    if addresses.is_empty() || addresses.iter().any(|endpoint| endpoint.url.tls) {
        return;
    }
    let written = [("ca", upstream.ca.is_some()), ("sni", upstream.sni.is_some()), ("verify", !upstream.verify)];
    for (key, _) in written.iter().filter(|(_, written)| *written) {
        let message = format!("upstreams.{name}.{key}: has no effect, no endpoint is https://");
        reader.fault_at(upstream.place, message);
    }
}

fn check_policies(settings: &Settings, reader: &mut Reader<'_>) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for policy in &settings.policies {
        let label = policy.label();
        if let Some(line) = seen.get(label) {
            let message = format!("policies: there is a policy `{label}` already (line {line}); give each a `name`");
            reader.fault_at(policy.place, message);
        }
        seen.insert(label, policy.place.0);
        if !is_policy_file(&policy.file) {
            let message = format!(
                "policies.file: `{}` is not a .lua or .luau file inside the bundle, with `/` between folders",
                policy.file
            );
            reader.fault_at(policy.place, message);
        }
    }
}

/// Whether a path stays inside the bundle and ends as policies do.
fn is_policy_file(file: &str) -> bool {
    let inside = file.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\\'));
    let ending = Path::new(file).extension();
    inside && ending.is_some_and(|ending| ending == "lua" || ending == "luau")
}

fn check_sizes(settings: &Settings, reader: &mut Reader<'_>) {
    let limits = &settings.limits;
    let pairs = [
        ("limits.body", limits.body, "limits.buffered_total", limits.buffered_total, limits.place),
        ("limits.request_line", limits.request_line, "limits.head_bytes", limits.head_bytes, limits.place),
        ("cache.entry", settings.cache.entry, "cache.memory", settings.cache.memory, settings.cache.place),
    ];
    for (part, size, whole, room, place) in pairs {
        if size > room {
            reader.fault_at(place, format!("{part}: is larger than {whole}"));
        }
    }
}
