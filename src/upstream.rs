//! Where requests go: named upstreams, their endpoints, how one is chosen and connected to.

pub mod affinity;

mod average;

pub mod balance;

pub mod breaker;

mod budget;

pub mod build;

pub mod dial;

mod gather;

pub mod health;

pub mod hold;

mod learned;

pub mod peers;

pub mod probe;

pub mod queue;

pub mod resolve;

pub mod retry_after;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use http::uri::Scheme;

use crate::dialect::servers::Server;
use crate::settings;
pub use crate::settings::ContinueBy;
use health::{Ask, Fitness, Pool, Vitals};
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
    /// How it is handed an answer that it is to go on with.
    pub continue_by: ContinueBy,
    /// Its addresses.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How its endpoints share its requests.
    pub balance: settings::Balance,
    /// When an endpoint that fails is left alone.
    pub breaker: settings::Breaker,
    /// How many attempts may be repetitions.
    pub retries: settings::Retries,
    /// How the gate itself finds out whether endpoints are alive.
    pub probe: Option<settings::Probe>,
    /// What the gate knows of it as a whole, generation after generation.
    pub(crate) pool: OnceLock<Arc<Pool>>,
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
    /// What it costs, in the unit of its siblings.
    pub cost: u32,
    /// A number made of its name, by which keys find it.
    pub seed: u64,
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
    /// What the gate knows of it, generation after generation.
    pub(crate) vitals: OnceLock<Arc<Vitals>>,
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

/// Whether a header carries a key.
pub(crate) fn is_key(name: &str) -> bool {
    KEYS.iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// Headers that carry keys of LLM APIs.
const KEYS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

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

// === impl Upstream ===

impl Upstream {
    /// What is known of it as a whole.
    pub fn pool(&self) -> &Pool {
        self.pool.get_or_init(Arc::default)
    }

    /// Whether any of its endpoints may be asked.
    pub fn is_fit(&self, now: Duration) -> bool {
        let ask = Ask { now, ..Ask::default() };
        let open = |endpoint: &Arc<Endpoint>| {
            matches!(endpoint.vitals().fitness(&self.breaker, self.balance.headroom, &ask), Fitness::Open(_))
        };
        !self.endpoints.iter().all(open)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// What is known of it.
    pub fn vitals(&self) -> &Vitals {
        self.vitals.get_or_init(Arc::default)
    }

    /// Whether it is asked with a key of its own: then its limits are common to all clients.
    pub fn has_key(&self) -> bool {
        self.headers.iter().any(|(name, _)| is_key(name))
    }

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
