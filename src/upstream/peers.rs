//! What is known of each of an endpoint's addresses: the connector's form of it, and whether it could be connected to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;

use super::{Endpoint, HttpVersion};
use crate::error::{Error, Kind};

/// How many addresses of one name are remembered: some names have others every minute.
const MOST: usize = 64;

/// How long an address that could not be connected to is tried behind the others.
const SHUNNED: Duration = Duration::from_secs(30);

/// What is known of an endpoint's addresses.
#[derive(Debug, Default)]
pub struct Peers {
    /// The connector's prepared form of the endpoint at each: building one costs more than using it.
    prepared: Mutex<HashMap<SocketAddr, Arc<HttpPeer>>>,
    /// Those that could not be connected to, and until when they come last.
    shunned: Mutex<HashMap<SocketAddr, Instant>>,
}

// === impl Peers ===

impl Peers {
    /// The prepared peer for one address of `endpoint`.
    pub(super) fn at(&self, address: SocketAddr, endpoint: &Endpoint) -> Result<Arc<HttpPeer>, Error> {
        let mut peers = self.prepared.lock();
        if let Some(peer) = peers.get(&address) {
            return Ok(Arc::clone(peer));
        }
        let peer = Arc::new(prepare(address, endpoint)?);
        if peers.len() >= MOST {
            peers.clear();
        }
        peers.insert(address, Arc::clone(&peer));
        Ok(peer)
    }

    /// Puts addresses in the order in which they are to be tried: as they came, but for those that failed not long ago.
    pub(super) fn sort(&self, addresses: &mut [SocketAddr]) {
        if addresses.len() < 2 {
            return;
        }
        let now = Instant::now();
        let shunned = self.shunned.lock();
        addresses.sort_by_key(|address| shunned.get(address).is_some_and(|until| *until > now));
    }

    /// Notes that an address of several could not be connected to.
    pub(super) fn shun(&self, address: SocketAddr) {
        let now = Instant::now();
        let mut shunned = self.shunned.lock();
        if shunned.len() >= MOST {
            shunned.clear();
        }
        shunned.insert(address, now + SHUNNED);
    }
}

/// Prepares a peer. The name for TLS is never empty: pingora would take that as leave not to verify.
fn prepare(address: SocketAddr, endpoint: &Endpoint) -> Result<HttpPeer, Error> {
    let name = endpoint.trust.name.clone().unwrap_or_else(|| endpoint.host.clone());
    let mut peer = HttpPeer::new(address, endpoint.tls, name);
    let options = &mut peer.options;
    options.connection_timeout = Some(endpoint.connect_timeout);
    options.total_connection_timeout = Some(endpoint.connect_timeout);
    options.idle_timeout = Some(endpoint.keep_alive);
    options.write_timeout = Some(endpoint.write_timeout);
    options.verify_cert = endpoint.trust.verify;
    options.verify_hostname = endpoint.trust.verify;
    options.max_h2_streams = 100;
    options.alpn = match endpoint.http {
        HttpVersion::Two => ALPN::H2,
        HttpVersion::Auto if endpoint.tls => ALPN::H2H1,
        HttpVersion::One | HttpVersion::Auto => ALPN::H1,
    };
    if let Some(file) = &endpoint.trust.ca {
        options.ca = Some(read_authorities(file)?);
    }
    Ok(peer)
}

/// Reads a file of certificates in PEM form. Each is checked first: pingora panics on one that cannot be parsed.
fn read_authorities(file: &Path) -> Result<Arc<CaType>, Error> {
    let fault = |reason: String| {
        Error::upstream(Kind::Tls, "the upstream's certificate authorities cannot be read")
            .with_detail(format!("{}: {reason}", file.display()))
    };
    let mut store = RootCertStore::empty();
    let mut authorities = Vec::new();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))? {
        let der = certificate.map_err(|error| fault(error.to_string()))?;
        store.add(der.clone()).map_err(|error| fault(error.to_string()))?;
        authorities.push(WrappedX509::new(der.to_vec(), parse_x509));
    }
    Ok(authorities.into())
}
