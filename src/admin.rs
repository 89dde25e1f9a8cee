//! The admin listener: health, status, metrics, and what people ask of generations, apart from the clients' traffic.

pub mod board;

mod cache;

mod endpoints;

mod generations;

mod lines;

mod routes;

mod tapes;

pub use board::Board;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Response};
use serde_json::{Value, json};

use crate::edge::local::{Answer, Asked};
use crate::gate::Gate;
use crate::gate::reload::{Denied, Reloader};
use crate::policy::{MountInfo, PolicySet};
use crate::replay::archive::Archive;
use crate::replay::shadow::Shadow;
use crate::upstream::Endpoint;
use crate::upstream::dial::Dialer;
use crate::upstream::health;

/// Answers the admin listener's requests.
pub struct Admin {
    /// The gate it speaks of.
    pub gate: Arc<Gate<Dialer>>,
    /// What became of the bundle on disk.
    pub board: Arc<Board>,
    /// Decides which generation serves; `None` for a gate without a bundle.
    pub reloader: Option<Arc<Reloader>>,
    /// Plays the last exchanges again; `None` for a gate without a bundle.
    pub archive: Option<Arc<Archive>>,
    /// What a staged generation would have decided otherwise.
    pub shadow: Arc<Shadow>,
}

/// What an answer says.
pub(crate) struct Said {
    /// Its content type.
    kind: &'static str,
    /// Its body.
    body: String,
}

/// The policies in their order, with their hooks and parameters.
fn policies(set: &PolicySet) -> Vec<Value> {
    let show = |mount: MountInfo| {
        let params: Vec<&String> = mount.params.iter().map(|(name, _, _)| name).collect();
        json!({"name": mount.name, "file": mount.file, "hooks": mount.hooks, "params": params})
    };
    set.mounts().into_iter().map(show).collect()
}

// === impl Said ===

impl Said {
    /// One JSON value, for programs and people.
    pub(crate) fn json(value: &Value) -> Self {
        Self { kind: "application/json", body: format!("{value:#}\n") }
    }
}

// === impl Admin ===

impl Admin {
    /// What serves now, since when, what was rejected and why, what waits.
    pub fn status(&self) -> Value {
        let (live, now) = (self.gate.live.load(), self.gate.clock.elapsed());
        let mut status = serde_json::Map::new();
        status.insert("version".into(), json!(env!("CARGO_PKG_VERSION")));
        status.insert(
            "live".into(),
            json!({
                "generation": live.number,
                "hash": live.short_hash(),
                "since": httpdate::fmt_http_date(self.board.since().unwrap_or(live.loaded_at)),
                "policies": policies(&live.policies),
            }),
        );
        let upstreams: Vec<Value> = live
            .upstreams
            .iter()
            .map(|upstream| {
                let show = |endpoint: &Arc<Endpoint>| health::show_endpoint(endpoint, &upstream.breaker, now);
                let endpoints: Vec<Value> = upstream.endpoints.iter().map(show).collect();
                let dialect = upstream.server.map(|server| server.name);
                json!({
                    "name": upstream.name,
                    "dialect": dialect,
                    "by": upstream.balance.by.as_str(),
                    "lately": upstream.pool().show(now),
                    "endpoints": endpoints,
                })
            })
            .collect();
        status.insert("upstreams".into(), json!(upstreams));
        status.insert("cache".into(), self.gate.cache.show());
        if let Some(http) = self.gate.cache.http.to_json() {
            status.insert("http_cache".into(), http);
        }
        if let Some(redis) = self.gate.shared.redis() {
            status.insert("redis".into(), redis.show());
        }
        lines::show(&self.gate, &mut status);
        self.board.show(&mut status);
        if let Some(canary) = self.gate.canary.show() {
            status.insert("canary".into(), canary);
        }
        if let Some(shadow) = self.shadow.show() {
            status.insert("shadow".into(), shadow);
        }
        let previews = self.gate.lanes.show();
        if !previews.is_empty() {
            status.insert("previews".into(), json!(previews));
        }
        Value::Object(status)
    }
}

#[async_trait]
impl Answer for Admin {
    async fn answer(&self, asked: Asked) -> Response<Vec<u8>> {
        let (status, said) = match routes::answer(self, asked).await {
            Ok(said) => (200, said),
            Err(Denied { status, message }) => (status, Said::json(&json!({"error": message}))),
        };
        let mut response = Response::new(said.body.into_bytes());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let length = response.body().len();
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(said.kind));
        headers.insert("content-length", HeaderValue::from(length));
        response
    }
}
