//! Makes upstreams from their settings.

use std::sync::{Arc, OnceLock};

use http::HeaderValue;

use super::balance;
use super::hold::{Hedge, Hold};
use super::peers::Peers;
use super::{Endpoint, HttpVersion, Timeouts, Trust, Upstream, Upstreams};
use crate::dialect::servers::Server;
use crate::settings::{
    Endpoint as EndpointSettings, Headers, Http, OnLoss, Settings, Upstream as UpstreamSettings, Url,
};

/// All upstreams of the settings.
pub fn upstreams(settings: &Settings) -> Upstreams {
    let default = settings.upstreams.iter().find(|(_, upstream)| upstream.value.default).map(|(name, _)| name.as_str());
    let built = settings.upstreams.iter().map(|(name, placed)| upstream(name, &placed.value));
    Upstreams::new(built, default)
}

fn upstream(name: &str, settings: &UpstreamSettings) -> Upstream {
    let addresses = settings.addresses();
    Upstream {
        name: name.to_owned(),
        server: settings.dialect.and_then(|dialect| Server::named(dialect.as_str())),
        refuses_losses: settings.losses == OnLoss::Refuse,
        continue_by: settings.continue_by,
        endpoints: addresses.iter().map(|address| endpoint(settings, address).into()).collect(),
        timeouts: Timeouts {
            head: settings.timeouts.head,
            first: settings.timeouts.first,
            idle: settings.timeouts.idle,
            total: settings.timeouts.total,
            cut_streams: settings.timeouts.cut_streams,
        },
        balance: settings.balance.clone(),
        breaker: settings.breaker.clone(),
        retries: settings.retries.clone(),
        probe: settings.probe.clone(),
        pool: OnceLock::new(),
        queue: settings.queue.as_ref().map(Into::into),
        affinity: settings.affinity.as_ref().map(Into::into),
        hold: Hold { until: settings.hold.until, time: settings.hold.time, bytes: settings.hold.bytes },
        hedge: settings.hedge.after.map(|after| Hedge { after, most: settings.hedge.most.get() }),
    }
}

fn endpoint(upstream: &UpstreamSettings, endpoint: &EndpointSettings) -> Endpoint {
    let url = &endpoint.url;
    Endpoint {
        name: endpoint.label(),
        tls: url.tls,
        host: url.host.clone(),
        port: url.port,
        prefix: url.prefix.clone(),
        weight: endpoint.weight,
        cost: endpoint.cost,
        seed: balance::key_of(endpoint.label().as_bytes()),
        headers: headers(&upstream.headers).chain(headers(&endpoint.headers)).collect(),
        host_header: host_header(url),
        preserve_host: upstream.preserve_host,
        http: match upstream.http {
            Http::One => HttpVersion::One,
            Http::Two => HttpVersion::Two,
            Http::Auto => HttpVersion::Auto,
        },
        trust: Trust {
            verify: upstream.verify,
            ca: upstream.ca.as_ref().map(|ca| ca.path().to_owned()),
            name: upstream.sni.clone(),
        },
        keep_alive: upstream.keep_alive,
        write_timeout: upstream.timeouts.idle,
        connect_timeout: upstream.timeouts.connect,
        peers: Peers::default(),
        vitals: OnceLock::new(),
    }
}

/// `host`, or `host:port` when the port is not the scheme's own.
fn host_header(url: &Url) -> HeaderValue {
    let usual = if url.tls { ":443" } else { ":80" };
    let authority = url.authority();
    let shown = authority.strip_suffix(usual).unwrap_or(&authority);
    HeaderValue::from_str(shown).unwrap_or(HeaderValue::from_static("localhost"))
}

/// Headers ready for the wire. The settings have checked that their values can be sent.
fn headers(headers: &Headers) -> impl Iterator<Item = (String, HeaderValue)> {
    headers.iter().filter_map(|(name, value)| {
        let mut value = HeaderValue::from_str(value.reveal()).ok()?;
        value.set_sensitive(true);
        Some((name.to_owned(), value))
    })
}

/// An upstream of one endpoint, for a policy's `http.fetch`; the URL's path is not part of it.
pub fn single(url: &Url) -> (Arc<Upstream>, Arc<Endpoint>) {
    let bare = Url { prefix: String::new(), ..url.clone() };
    let settings = UpstreamSettings::at(bare.clone());
    let mut upstream = upstream(&url.authority(), &settings);
    let only = Arc::new(endpoint(&settings, &EndpointSettings::at(bare)));
    upstream.endpoints = vec![Arc::clone(&only)];
    (Arc::new(upstream), only)
}
