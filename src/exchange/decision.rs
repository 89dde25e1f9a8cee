//! What policies decide about an exchange, as plain data: identity, plan, cache rule, failover, answers made here.

use std::time::Duration;

use bytes::Bytes;

use crate::cache::http;
use crate::dialect::continuation::CutTool;
use crate::dialect::transcript::Said;
use crate::error::Error;
use crate::settings::Priority;
use crate::upstream::hold::{Hedge, Until};

/// Who is calling, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user: a person or account name. Caches and limits are kept apart by it.
    pub user: Option<String>,
    /// The client tool, such as `claude-code`.
    pub client: Option<String>,
    /// The session the client says it is in.
    pub session: Option<String>,
    /// The agent inside the client, such as a sub-agent's id.
    pub agent: Option<String>,
    /// Why: for example `header x-user-id` or `user-agent ~ ^claude-cli/`.
    pub evidence: Option<String>,
}

/// A response a policy makes itself with `respond { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, 200–599.
    pub status: u16,
    /// Headers in the order given.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The policy's file and line, for the log.
    pub made_by: Place,
}

/// Where in a policy something was decided: `route_by_model.lua:12`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub String);

/// One try that a plan asks for. Endpoints are chosen when it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlannedAttempt {
    /// The upstream's name in the settings.
    pub upstream: String,
    /// One endpoint of it by name, when the policy insists.
    pub endpoint: Option<String>,
    /// The model to ask for instead of the one in the request.
    pub model: Option<String>,
    /// How long the response head may take, in place of the upstream's own setting.
    pub timeout: Option<Duration>,
    /// What keeps requests at the same endpoint, where the upstream's endpoints are chosen by such a key.
    pub key: Option<String>,
    /// Whether its answer, should it be cut, may go on elsewhere, and what becomes of a tool call that was cut then.
    pub continue_cut: Option<CutTool>,
    /// The class in which it waits before an endpoint, in place of the upstream's own setting.
    pub priority: Option<Priority>,
    /// How long each step may take, where that is not as the upstream's settings say.
    pub timeouts: Option<Box<PlannedTimeouts>>,
    /// How much of the answer is held back, where that is not as the upstream's settings say.
    pub hold: Option<Box<PlannedHold>>,
    /// When another attempt is made beside it, in place of the upstream's own setting.
    pub hedge: Option<Hedge>,
    /// Whether the client is to wait for the plan's answer in silence, so that it hears the head that comes with it.
    pub silent: bool,
}

/// How long each step of an attempt may take, as far as a plan says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedTimeouts {
    /// To connect; longer than the upstream's own setting has no effect.
    pub connect: Option<Duration>,
    /// Until the response head.
    pub head: Option<Duration>,
    /// Until a stream's first meaningful event, from the end of the request on.
    pub first: Option<Duration>,
    /// Between two pieces of a body.
    pub idle: Option<Duration>,
    /// For the whole attempt.
    pub total: Option<Duration>,
}

/// How much of an answer is held back, as far as a plan says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedHold {
    /// What a stream must have said.
    pub until: Option<Until>,
    /// For how long at most.
    pub time: Option<Duration>,
    /// How many bytes at most.
    pub bytes: Option<usize>,
}

/// The ordered attempts of an exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Tried in this order; what happens after each is `failover`'s to say.
    pub attempts: Vec<PlannedAttempt>,
    /// Who decided.
    pub decided_by: Place,
    /// Whether the request refers to what one endpoint made, so that no other can serve it.
    pub pinned: bool,
}

/// What `route` answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Where the request goes.
    Plan(Plan),
    /// It goes nowhere: the policy answers itself.
    Answer(Answer),
}

/// For whom a stored response may serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Only the user that it was made for. An exchange without a user has a scope of its own: nobody.
    #[default]
    User,
    /// Everybody.
    Shared,
}

/// What `cache` answered: how this response may be kept and found again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheRule {
    /// Named parts that make two requests the same, readable: name and text, as [`crate::cache::parts`] writes them.
    pub key: Vec<(String, String)>,
    /// Whether the texts of a call for embeddings are kept one by one.
    pub texts: bool,
    /// Those texts as the policy has them compared, where it says.
    pub inputs: Vec<String>,
    /// How long a stored response may serve.
    pub ttl: Duration,
    /// For whom.
    pub scope: Scope,
    /// Whether to look for a stored response; false asks the upstream and stores the answer anew.
    pub read: bool,
    /// Whether to store the answer.
    pub write: bool,
    /// The answer is kept as HTTP says, and for as long.
    pub http: Option<http::Rule>,
    /// Words to purge it by.
    pub tags: Vec<String>,
    /// How long it may serve after its time.
    pub stale: Stale,
    /// How an answer serves more than one call.
    pub sharing: Sharing,
    /// Who decided.
    pub decided_by: Place,
}

/// How long a stored response may serve after its time (RFC 5861).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// At once, while a new one is fetched.
    pub while_revalidate: Duration,
    /// When the upstreams fail.
    pub if_error: Duration,
}

/// How an answer serves more than one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharing {
    /// Whether a call waits for the answer to an equal one that is under way.
    pub join: bool,
    /// How fast a stored stream is told.
    pub pace: Pace,
    /// Whether an answer is read to its end though its client has left and nobody else waits for it.
    pub outlive: bool,
    /// Whether the parts of the key mean the same in every dialect: then so does the key.
    pub any_dialect: bool,
}

/// How fast a stored stream is told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// As fast as the client takes it.
    #[default]
    Instant,
    /// As it came.
    Recorded,
    /// So many events a second: most servers send one for each token.
    Rate(f64),
}

/// How an attempt ended, as `failover` sees it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// 1 for the first attempt.
    pub number: u32,
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The status, when a head came.
    pub status: Option<u16>,
    /// What went wrong otherwise.
    pub error: Option<Error>,
    /// How long the upstream asks to wait, read from its headers in all their forms.
    pub retry_after: Option<Duration>,
    /// How long the attempt took.
    pub took: Duration,
    /// What is left until the exchange's deadline, if it has one.
    pub remaining: Option<Duration>,
    /// Endpoints of the plan that were not tried yet.
    pub untried: usize,
    /// What the client heard already, when the next attempt is to go on with it.
    pub said: Option<Said>,
}

/// What `commit` answered about an event of a stream that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The stream goes out from here on.
    Go,
    /// It is held on, as long as the bounds allow.
    Wait,
    /// The attempt has failed.
    Fail,
}

/// What `failover` answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failover {
    /// Try again, or give up and return the best answer so far.
    pub retry: bool,
    /// Another upstream than the plan's next.
    pub upstream: Option<String>,
    /// How long to wait first. The gate caps it and never waits past the deadline.
    pub after: Duration,
    /// Who decided.
    pub decided_by: Place,
}

// === impl Stale ===

impl Stale {
    /// How long it is kept after its time.
    pub fn longest(self) -> Duration {
        self.while_revalidate.max(self.if_error)
    }
}

// === impl Sharing ===

impl Default for Sharing {
    fn default() -> Self {
        Self { join: true, pace: Pace::Instant, outlive: false, any_dialect: false }
    }
}

// === impl Identity ===

impl Identity {
    /// What is known of the caller, each in words: `user ann`, `client pycharm`.
    pub fn known(&self) -> Vec<String> {
        let fields =
            [("user", &self.user), ("client", &self.client), ("session", &self.session), ("agent", &self.agent)];
        fields.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect()
    }
}
