//! Settings of how an upstream's endpoints share its requests.

use std::str::FromStr;

use http::HeaderName;
use serde_json::Value as Json;

use super::parse::{Node, Reader, Value};
use super::section::{choice, section};

section! {
    /// How an upstream's endpoints share its requests. An endpoint is never tried twice while another is left, and one
    /// of weight 0 only when no other is fit, whatever stands here.
    pub struct Balance {
        /// What decides: `weighted` draws by weight, `round-robin` takes turns by weight, `least-busy` takes the one with
        /// the fewest requests under way for its weight, `latency` the better of two drawn ones, `score` the best by the
        /// figures below, and `hash` keeps what has the same `key` at the same endpoint.
        by: By = By::Weighted => reload;
        /// What `hash` goes by, unless the plan says `key`: `session` or, without one, the user or the client's address;
        /// `user`, or the client's address; `prompt`, the instructions, tools and first message, which prompt caches of
        /// upstreams go by; `header:NAME`.
        key: Sticky = Sticky::Session => reload;
        /// What the share of attempts that succeeded counts for in a `score`.
        success: u32 = 40 => reload;
        /// What tokens a second count for in a `score`; from 100 on they are as good as can be.
        speed: u32 = 30 => reload;
        /// What the time to the first event counts for in a `score`; from 10 seconds on it is as bad as can be.
        latency: u32 = 30 => reload;
        /// What the endpoints' `cost` counts for in a `score`.
        cost: u32 = 0 => reload;
        /// Percent of a limit that an endpoint told of: with less left it is passed over until its reset, while another
        /// is left.
        headroom: u32 = 5 => reload;
    }
}

choice! {
    /// What decides which endpoint is tried.
    pub enum By {
        /// A draw by weight.
        Weighted = "weighted",
        /// Turns, by weight.
        RoundRobin = "round-robin",
        /// The fewest requests under way.
        LeastBusy = "least-busy",
        /// The sooner of two.
        Latency = "latency",
        /// Success, speed, latency and cost.
        Score = "score",
        /// A key that the request has.
        Hash = "hash",
    }
}

/// What of a request keeps it at the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// The user.
    User,
    /// The session.
    Session,
    /// What prompt caches go by.
    Prompt,
    /// A header of the client.
    Header(HeaderName),
}

// === impl Sticky ===

impl FromStr for Sticky {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "user" => Ok(Self::User),
            None if text == "session" => Ok(Self::Session),
            None if text == "prompt" => Ok(Self::Prompt),
            Some(("header", name)) => {
                name.parse().map(Self::Header).map_err(|_| format!("`{name}` is not a header name"))
            }
            _ => Err(format!("`{text}` is not known; known: `user`, `session`, `prompt`, `header:NAME`")),
        }
    }
}

impl Value for Sticky {
    fn kind() -> String {
        "\"user\", \"session\", \"prompt\" or \"header:NAME\"".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, &Self::kind(), str::parse)
    }

    fn shown(&self) -> Json {
        match self {
            Self::User => "user".into(),
            Self::Session => "session".into(),
            Self::Prompt => "prompt".into(),
            Self::Header(name) => format!("header:{name}").into(),
        }
    }
}
