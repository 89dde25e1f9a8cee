//! Turns host names into addresses without blocking a worker, keeping answers as long as their TTL says.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;

use crate::error::{Error, Kind};

/// The resolver of the machine's own settings, with its cache.
pub struct Resolver {
    /// Absent when the machine's resolver settings cannot be read; only addresses work then.
    inner: Result<TokioResolver, String>,
}

// === impl Resolver ===

impl Resolver {
    /// Reads the machine's resolver settings.
    pub fn new() -> Self {
        let inner = TokioResolver::builder_tokio()
            .and_then(hickory_resolver::ResolverBuilder::build)
            .map_err(|error| error.to_string());
        Self { inner }
    }

    /// The addresses of a host, in the order to try them. Errors are failures of the attempt.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let resolver = self.inner.as_ref().map_err(|reason| unresolved(host, reason))?;
        let found = Box::pin(resolver.lookup_ip(host)).await.map_err(|error| unresolved(host, &error.to_string()))?;
        let addresses: Vec<_> = found.iter().map(|ip| SocketAddr::new(ip, port)).collect();
        if addresses.is_empty() {
            return Err(unresolved(host, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

fn unresolved(host: &str, reason: &str) -> Error {
    Error::upstream(Kind::Connect, "the upstream's name could not be resolved").with_detail(format!("{host}: {reason}"))
}
