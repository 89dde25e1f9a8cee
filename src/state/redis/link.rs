//! How a Redis is connected: one server or a cluster, plain or under TLS, and beside it a connection that only listens.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ConnectionInfo, FromRedisValue, RedisError, TlsCertificates};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// The longest that a cluster's connection tries a command by itself.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(5);

/// What other gates say, as it comes.
pub(super) type Messages = PubSubStream;

/// Where connections come from.
pub(super) struct Door {
    /// Each server that was named.
    clients: Vec<Client>,
    /// The cluster that they are nodes of, when there are several.
    cluster: Option<ClusterClient>,
    /// Where they are, to be shown.
    hosts: Arc<str>,
}

/// A connection; many ask at the same time.
pub(super) enum Link {
    /// To one server.
    One(MultiplexedConnection),
    /// To a cluster.
    Cluster(ClusterConnection),
}

// === impl Door ===

impl Door {
    /// Connections to these servers; `ca` are the certificates to trust, as PEM.
    pub(super) fn new(servers: Vec<ConnectionInfo>, ca: Option<Vec<u8>>) -> Result<Self, RedisError> {
        let hosts: Vec<String> = servers.iter().map(|server| server.addr().to_string()).collect();
        let certificates = TlsCertificates { client_tls: None, root_cert: ca };
        let cluster = (servers.len() > 1).then(|| {
            let builder = ClusterClient::builder(servers.iter().cloned());
            let builder = builder.connection_timeout(CONNECT).overall_response_timeout(Some(CLUSTER_PATIENCE));
            if certificates.root_cert.is_some() { builder.certs(certificates.clone()) } else { builder }.build()
        });
        let client = |server: ConnectionInfo| match certificates.root_cert {
            Some(_) => Client::build_with_tls(server, certificates.clone()),
            None => Client::open(server),
        };
        let clients = servers.into_iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { clients, cluster: cluster.transpose()?, hosts: hosts.join(", ").into() })
    }

    /// Where the servers are.
    pub(super) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// Connects, and listens to a channel.
    pub(super) async fn open(&self, channel: &str) -> Result<(Link, Messages), RedisError> {
        let link = match &self.cluster {
            Some(cluster) => Link::Cluster(within(cluster.get_async_connection()).await?),
            None => Link::One(within(self.one()).await?),
        };
        let mut failure = None;
        for client in &self.clients {
            match within(listen(client, channel)).await {
                Ok(messages) => return Ok((link, messages)),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(too_slow))
    }

    async fn one(&self) -> Result<MultiplexedConnection, RedisError> {
        let client = self.clients.first().ok_or_else(too_slow)?;
        // How long anybody waits for an answer is said by who asks.
        let how = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        client.get_multiplexed_async_connection_with_config(&how).await
    }

    /// A question that is only asked to see whether it is answered. A cluster would ask all of its nodes for `PING`.
    pub(super) fn look(&self) -> Cmd {
        match &self.cluster {
            Some(_) => redis::cmd("EXISTS").arg("tidegate").to_owned(),
            None => redis::cmd("PING"),
        }
    }
}

// === impl Link ===

impl Link {
    /// Asks, and waits for the answer.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::One(link) => command.query_async(&mut link.clone()).await,
            Self::Cluster(link) => command.query_async(&mut link.clone()).await,
        }
    }
}

async fn listen(client: &Client, channel: &str) -> Result<Messages, RedisError> {
    let mut ears = client.get_async_pubsub().await?;
    ears.subscribe(channel).await?;
    Ok(ears.into_on_message())
}

/// What it is, unless it takes too long.
async fn within<T>(connecting: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    tokio::time::timeout(CONNECT, connecting).await.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
