//! Turns host names into addresses without blocking a worker, keeping answers as long as their TTL says.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver, system_conf};
use tokio::time::Instant;

use crate::error::{Error, Kind};
use crate::settings::{Dns, NameServer};

/// The resolver of the machine's own settings, or of the gate's, with its cache.
pub struct Resolver {
    /// Absent when the machine's resolver settings cannot be read; only addresses work then.
    inner: Result<TokioResolver, String>,
}

// === impl Resolver ===

impl Resolver {
    /// Asks the servers that the settings name, else those of the machine.
    pub fn new(dns: &Dns) -> Self {
        let builder = if dns.servers.is_empty() { TokioResolver::builder_tokio() } else { Ok(asking(&dns.servers)) };
        Self { inner: builder.and_then(ResolverBuilder::build).map_err(|error| error.to_string()) }
    }

    /// The addresses of a host, in the order in which they were told; errors are failures of the attempt.
    pub async fn resolve(&self, host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Error> {
        let resolver = self.inner.as_ref().map_err(|reason| unresolved(host, reason))?;
        // Boxed: an answer is at hand most of the time, and every exchange would carry room for the question.
        let looking = Box::pin(resolver.lookup_ip(host));
        let found = tokio::time::timeout_at(until, looking).await.map_err(|_| slow(host))?;
        let found = found.map_err(|error| unresolved(host, &error.to_string()))?;
        let addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        if addresses.is_empty() {
            return Err(unresolved(host, "the name has no address"));
        }
        Ok(addresses)
    }
}

/// A resolver that asks these servers. What the machine's settings say beside their own, such as the domains in which
/// short names are looked for, stands.
fn asking(servers: &[NameServer]) -> ResolverBuilder<TokioRuntimeProvider> {
    let server = |NameServer(address): &NameServer| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = address.port();
            connection
        });
        NameServerConfig::new(address.ip(), true, connections.into())
    };
    let (machine, options) = system_conf::read_system_conf().unwrap_or_default();
    let (domain, search, _) = machine.into_parts();
    let config = ResolverConfig::from_parts(domain, search, servers.iter().map(server).collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder
}

/// The address that a host is, if it is no name.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, port))
}

fn unresolved(host: &str, reason: &str) -> Error {
    Error::upstream(Kind::Connect, "the upstream's name could not be resolved").with_detail(format!("{host}: {reason}"))
}

fn slow(host: &str) -> Error {
    Error::upstream(Kind::Timeout, "the upstream's name could not be resolved in time").with_detail(host.to_owned())
}
