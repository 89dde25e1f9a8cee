//! Settings of upstreams: where they are, how they are spoken to, how long each step may take.

use std::collections::BTreeMap;
use std::time::Duration;

use super::address::ExistingFile;
use super::affinity::Affinity;
use super::balance::Balance;
use super::breaker::{Breaker, Retries};
use super::collection::Placed;
use super::hold::{Hedge, Hold};
use super::probe::Probe;
use super::queue::Queue;
use super::secret::Headers;
use super::section::{choice, section};
use super::url::Url;

section! {
    /// A named service. Where it is stands in `url`, or in `endpoints` when it has several addresses.
    pub struct Upstream {
        /// Its only address, with a path prefix if it has one.
        url: Option<Url> = None => reload;
        /// Its addresses.
        endpoints: Vec<Placed<Endpoint>> = Vec::new() => reload;
        /// Whether requests go here when no policy routes them; a single upstream is its own default.
        default: bool = false => reload;
        /// The dialect it speaks, or the server it is. Requests of other dialects are translated; without it, all pass
        /// as they are.
        dialect: Option<Dialect> = None => reload;
        /// Whether a request goes there that cannot be translated without a loss: `refuse` tells the client instead.
        losses: OnLoss = OnLoss::Allow => reload;
        /// How it is handed an answer that it is to go on with, after another died in the middle of it: as is `known` of
        /// its dialect, as an assistant `turn` that it goes on from, or with a `request` to go on.
        continue_by: ContinueBy = ContinueBy::Known => reload;
        /// The HTTP it speaks: `auto` is HTTP/2 or 1.1 as a TLS endpoint prefers, and 1.1 without TLS.
        http: Http = Http::Auto => reload;
        /// Headers set on each attempt in place of the client's. Values may hold secrets: `env:NAME`, `file:path`,
        /// `Bearer env:NAME`, and `${env:NAME}` anywhere.
        headers: Headers = Headers::default() => reload;
        /// Whether the client's own `Host` is sent on, in place of the endpoint's.
        preserve_host: bool = false => reload;
        /// Certificates to trust in place of the system's, in a PEM file.
        ca: Option<ExistingFile> = None => reload;
        /// Whether certificates are checked.
        verify: bool = true => reload;
        /// The name that certificates must carry, when it is not the URL's host.
        sni: Option<String> = None => reload;
        /// How long the steps of an attempt may take.
        timeouts: Timeouts = Timeouts::default() => reload;
        /// How its endpoints share its requests.
        balance: Balance = Balance::default() => reload;
        /// When an endpoint that fails is left alone.
        breaker: Breaker = Breaker::default() => reload;
        /// How many attempts may be repetitions.
        retries: Retries = Retries::default() => reload;
        /// How the gate itself finds out whether endpoints are alive.
        probe: Option<Probe> = None => reload;
        /// How much of an answer is held back until it is known to be one.
        hold: Hold = Hold::default() => reload;
        /// A second attempt beside one that is slow to answer.
        hedge: Hedge = Hedge::default() => reload;
        /// How long an idle connection is kept for the next exchange.
        keep_alive: Duration = Duration::from_secs(10) => reload;
        /// The line before each endpoint; without it all go in at once.
        queue: Option<Queue> = None => reload;
        /// Whether requests of `OpenAI`'s Responses go where the answer they follow was made; without it anywhere.
        affinity: Option<Affinity> = None => reload;
    }
}

section! {
    /// One address of an upstream.
    pub struct Endpoint {
        /// Its address, with a path prefix if it has one.
        url: Url => reload;
        /// Its name in plans, logs and metrics, `host:port` of the URL unless written.
        name: Option<String> = None => reload;
        /// Its share among its siblings; 0 keeps it in reserve until the others were tried.
        weight: u32 = 1 => reload;
        /// What it costs, in any unit that its siblings have too, for balancing by `score`.
        cost: u32 = 0 => reload;
        /// Headers set on each attempt here, over those of the upstream.
        headers: Headers = Headers::default() => reload;
    }
}

section! {
    /// How long the steps of an attempt may take.
    pub struct Timeouts {
        /// To connect, TLS included.
        connect: Duration = Duration::from_secs(5) => reload;
        /// Until the response's head.
        head: Duration = Duration::from_mins(2) => reload;
        /// Until a stream's first meaningful event, from the end of the request on; as long as `head` unless written.
        first: Option<Duration> = None => reload;
        /// Between two pieces of a body.
        idle: Duration = Duration::from_mins(2) => reload;
        /// For the whole attempt; none unless written. A stream only has to begin in this time.
        total: Option<Duration> = None => reload;
        /// Whether `total` also ends a stream that is still coming.
        cut_streams: bool = false => reload;
    }
}

choice! {
    /// What a server speaks. The names after `gemini` are servers that speak as `OpenAI` does but for habits of their own.
    pub enum Dialect {
        /// `OpenAI`'s chat, Responses and embeddings.
        OpenAi = "openai",
        /// `OpenAI`'s chat and nothing else for certain.
        OpenAiChat = "openai-chat",
        /// `OpenAI`'s Responses and nothing else.
        OpenAiResponses = "openai-responses",
        /// Anthropic's Messages.
        Anthropic = "anthropic",
        /// Ollama's own, and its chat as `OpenAI`'s.
        Ollama = "ollama",
        /// Gemini's own.
        Gemini = "gemini",
        /// Azure `OpenAI`.
        Azure = "azure",
        /// Groq.
        Groq = "groq",
        /// Mistral.
        Mistral = "mistral",
        /// `DeepSeek`.
        DeepSeek = "deepseek",
        /// `OpenRouter`.
        OpenRouter = "openrouter",
        /// Together.
        Together = "together",
        /// xAI.
        Xai = "xai",
        /// Perplexity.
        Perplexity = "perplexity",
        /// vLLM.
        Vllm = "vllm",
        /// llama.cpp's server.
        LlamaCpp = "llama.cpp",
        /// LM Studio.
        LmStudio = "lmstudio",
        /// `mlx_lm.server`.
        Mlx = "mlx",
        /// Fireworks.
        Fireworks = "fireworks",
        /// Cerebras.
        Cerebras = "cerebras",
    }
}

choice! {
    /// What becomes of a request that cannot be translated without a loss.
    pub enum OnLoss {
        /// It goes on; the loss is logged.
        Allow = "allow",
        /// The client is told what is in the way, with 400.
        Refuse = "refuse",
    }
}

choice! {
    /// How an upstream is handed an answer that it is to go on with.
    pub enum ContinueBy {
        /// As its maker documents it; with a request where nothing is known.
        Known = "known",
        /// As the last assistant turn.
        Turn = "turn",
        /// As an assistant turn, and a turn that asks to go on.
        Request = "request",
    }
}

choice! {
    /// Which HTTP is spoken to an upstream.
    pub enum Http {
        /// HTTP/1.1.
        One = "1.1",
        /// HTTP/2, over TLS or by prior knowledge.
        Two = "2",
        /// Over TLS whichever the endpoint prefers; HTTP/1.1 without.
        Auto = "auto",
    }
}

/// Upstreams by name.
pub type Upstreams = BTreeMap<String, Placed<Upstream>>;

// === impl Upstream ===

impl Upstream {
    /// An upstream with one address and all defaults.
    pub fn at(url: Url) -> Self {
        Self {
            url: Some(url),
            endpoints: Vec::new(),
            default: false,
            dialect: None,
            losses: OnLoss::Allow,
            continue_by: ContinueBy::Known,
            http: Http::Auto,
            headers: Headers::default(),
            preserve_host: false,
            ca: None,
            verify: true,
            sni: None,
            timeouts: Timeouts::default(),
            balance: Balance::default(),
            breaker: Breaker::default(),
            retries: Retries::default(),
            probe: None,
            hold: Hold::default(),
            hedge: Hedge::default(),
            keep_alive: Duration::from_secs(10),
            queue: None,
            affinity: None,
        }
    }

    /// All its addresses, whichever way they are written; never empty in settings without faults.
    pub fn addresses(&self) -> Vec<Endpoint> {
        let only = self.url.clone().map(Endpoint::at);
        let listed = self.endpoints.iter().map(|endpoint| endpoint.value.clone());
        only.into_iter().chain(listed).collect()
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint with all defaults.
    pub fn at(url: Url) -> Self {
        Self { url, name: None, weight: 1, cost: 0, headers: Headers::default() }
    }

    /// Its name: the written one, or `host:port`.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.url.authority())
    }
}
