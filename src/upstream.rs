//! Where requests go: named upstreams, their endpoints, how one is chosen and connected to.

pub mod affinity;

pub mod balance;

pub mod build;

pub mod dial;

mod gather;

pub mod hold;

pub mod peers;

pub mod queue;

pub mod resolve;

pub mod retry_after;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::uri::Scheme;

use crate::dialect::servers::Server;
use hold::{Hedge, Hold};

/// All upstreams of a generation, by name.
#[derive(Debug, Default)]
pub struct Upstreams {
    /// In the order of their names.
    by_name: BTreeMap<String, Arc<Upstream>>,
    /// Where requests go when no policy says so.
    default: Option<Arc<Upstream>>,
}

/// A named service.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the settings.
    pub name: String,
    /// What it is and speaks, if the settings say.
    pub server: Option<&'static Server>,
    /// Whether requests that cannot be translated without a loss are refused.
    pub refuses_losses: bool,
    /// Its addresses.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// The line before each endpoint, if there is one.
    pub queue: Option<queue::Rule>,
    /// Whether requests go where what they refer to was made.
    pub affinity: Option<affinity::Rule>,
    /// How much of an answer is held back.
    pub hold: Hold,
    /// When a second attempt is made beside the first, if ever.
    pub hedge: Option<Hedge>,
}

/// One address of an upstream.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name: the settings' own, or `host:port`.
    pub name: String,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The host's name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What stands before the request's path, without a slash at its end; often empty.
    pub prefix: String,
    /// Its share among its siblings; 0 keeps it in reserve until the others were tried.
    pub weight: u32,
    /// Headers set on every attempt, in place of the client's: usually the key. Marked sensitive, so never shown.
    pub headers: Vec<(String, HeaderValue)>,
    /// `Host` as this endpoint expects it.
    pub host_header: HeaderValue,
    /// Whether the client's own `Host` is sent instead.
    pub preserve_host: bool,
    /// Which HTTP is spoken.
    pub http: HttpVersion,
    /// How its certificate is checked.
    pub trust: Trust,
    /// How long an idle connection to it is kept for the next exchange.
    pub keep_alive: Duration,
    /// How long the endpoint may take none of what is sent to it.
    pub write_timeout: Duration,
    /// How long connecting, with TLS, may take.
    pub connect_timeout: Duration,
    /// The connector's prepared form of this endpoint, by address.
    pub(crate) peers: peers::Peers,
}

/// Which HTTP is spoken to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2, over TLS or with prior knowledge.
    Two,
    /// Over TLS whichever the endpoint prefers; HTTP/1.1 without.
    Auto,
}

/// How an endpoint's certificate is checked.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Whether it is checked at all.
    pub verify: bool,
    /// A file of certificates to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// The name that the certificate must carry, when it is not the host.
    pub name: Option<String>,
}

/// How long the steps of an attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the response head.
    pub head: Duration,
    /// Until a stream's first meaningful event, from the end of the request on; `None` for as long as `head`.
    pub first: Option<Duration>,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// For the whole attempt; `None` for no limit.
    pub total: Option<Duration>,
    /// Whether `total` also ends a stream that is still coming.
    pub cut_streams: bool,
}

// === impl Upstreams ===

impl Upstreams {
    /// Collects upstreams; `default` names the one used without a plan. A single upstream is its own default.
    pub fn new(upstreams: impl IntoIterator<Item = Upstream>, default: Option<&str>) -> Self {
        let by_name: BTreeMap<_, _> =
            upstreams.into_iter().map(|upstream| (upstream.name.clone(), Arc::new(upstream))).collect();
        let default = match default {
            Some(name) => by_name.get(name).cloned(),
            None if by_name.len() == 1 => by_name.values().next().cloned(),
            None => None,
        };
        Self { by_name, default }
    }

    /// The upstream of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.by_name.get(name)
    }

    /// The upstream for requests without a plan.
    pub fn default(&self) -> Option<&Arc<Upstream>> {
        self.default.as_ref()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.by_name.values()
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// The scheme as it stands in a URL.
    pub fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

// === impl Trust ===

impl Default for Trust {
    fn default() -> Self {
        Self { verify: true, ca: None, name: None }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_mins(2),
            first: None,
            idle: Duration::from_mins(2),
            total: None,
            cut_streams: false,
        }
    }
}
