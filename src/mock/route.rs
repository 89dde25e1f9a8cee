//! The index card of the mock upstream: every path that it answers, and how a request gets from its path to its answer.

use super::answer;
use super::ask::Ask;
use super::fault::{FaultError, Faults};
use super::reply::{Dialect, Reply};
use super::state::Mock;
use super::stream::FAILED;
use super::{anthropic, control, ollama, openai, responses};

/// One path and who answers it.
pub(super) struct Route {
    /// The path, as statistics show it.
    pub(super) path: &'static str,
    /// Whether paths that only begin so are meant too.
    prefix: bool,
    /// The methods allowed, as `allow` lists them; `*` is any.
    methods: &'static str,
    /// The form of answers and errors.
    pub(super) dialect: Dialect,
    /// Makes the answer.
    answer: fn(&mut Call<'_>) -> Result<Reply, Refusal>,
}

/// One request as it was read.
pub(super) struct Request<'a> {
    /// As received.
    pub(super) method: &'a str,
    /// The target before the question mark.
    pub(super) path: &'a str,
    /// The target behind it.
    pub(super) query: &'a str,
    /// The bytes of the head, for those who show them.
    pub(super) head: &'a [u8],
    /// The body, without chunks.
    pub(super) body: &'a [u8],
}

/// What a handler works with.
pub(super) struct Call<'a> {
    /// The mock upstream, for its counters and orders.
    pub(super) mock: &'a Mock,
    /// The request.
    pub(super) request: &'a Request<'a>,
    /// What goes wrong; the model's name may add to it.
    pub(super) faults: Faults,
    /// The same for equal requests: hexadecimal digits from the path and the body.
    pub(super) id: String,
}

/// Why a request gets an error, told in the dialect's shape.
pub(super) struct Refusal {
    /// The status of the answer.
    status: u16,
    /// What the client did wrong.
    message: String,
}

/// Every path, those asked most often first.
pub(super) static ROUTES: [Route; 22] = [
    Route::new("/v1/chat/completions", "POST", Dialect::OpenAi, openai::chat),
    Route::new("/v1/messages", "POST", Dialect::Anthropic, anthropic::messages),
    Route::new("/v1/responses", "POST", Dialect::Responses, responses::responses),
    Route::new("/api/chat", "POST", Dialect::Ollama, ollama::chat),
    Route::new("/api/generate", "POST", Dialect::Ollama, ollama::generate),
    Route::new("/v1/completions", "POST", Dialect::OpenAi, openai::completions),
    Route::new("/v1/embeddings", "POST", Dialect::OpenAi, openai::embeddings),
    Route::new("/v1/models", "GET, HEAD", Dialect::OpenAi, openai::models),
    Route::new("/v1/messages/count_tokens", "POST", Dialect::Anthropic, anthropic::count_tokens),
    Route::new("/api/hello", "GET, HEAD", Dialect::Anthropic, anthropic::hello),
    Route::new("/api/embed", "POST", Dialect::Ollama, ollama::embed),
    Route::new("/api/embeddings", "POST", Dialect::Ollama, ollama::embeddings),
    Route::new("/api/tags", "GET, HEAD", Dialect::Ollama, ollama::tags),
    Route::new("/api/version", "GET, HEAD", Dialect::Ollama, ollama::version),
    Route::new("/api/ps", "GET, HEAD", Dialect::Ollama, ollama::running),
    Route::new("/api/show", "POST", Dialect::Ollama, ollama::show),
    Route::new("/api/v0/models", "GET, HEAD", Dialect::OpenAi, openai::lm_studio_models),
    Route::new("/", "GET, HEAD", Dialect::OpenAi, control::front),
    Route::new("/bytes/", "GET, HEAD", Dialect::OpenAi, control::bytes).and_below(),
    Route::new("/echo", "*", Dialect::OpenAi, control::echo).and_below(),
    Route::new("/mock/stats", "GET, HEAD", Dialect::OpenAi, control::stats),
    Route::new("/mock/fault", "POST, DELETE", Dialect::OpenAi, control::fault),
];

/// The index in [`ROUTES`] of the route for a path.
pub(super) fn find(path: &str) -> Option<usize> {
    ROUTES.iter().position(|route| route.path == path || (route.prefix && path.starts_with(route.path)))
}

/// The route with this index.
pub(super) fn at(index: usize) -> Option<&'static Route> {
    ROUTES.get(index)
}

/// The answer to a request, and the faults that it suffers on its way out.
pub(super) fn answer(mock: &Mock, route: Option<&Route>, request: &Request<'_>, faults: Faults) -> (Reply, Faults) {
    let dialect = route.map_or(Dialect::OpenAi, |route| route.dialect);
    let mut call = Call { mock, request, faults, id: answer::id(request.path, request.body) };
    let answered = match route {
        Some(route) if route.allows(request.method) => (route.answer)(&mut call),
        Some(route) => Ok(route.not_allowed(request)),
        None => Err(Refusal::new(404, format!("The mock upstream serves nothing at {}.", request.path))),
    };
    let mut reply = answered.unwrap_or_else(|refusal| dialect.error(refusal.status, &refusal.message, &call.id));
    if call.faults.error_event.is_some() && reply.status == 200 && reply.body.len().is_some() {
        reply = Reply { status: 200, ..dialect.error(500, FAILED, &call.id) };
    }
    if let Some(status) = call.faults.status {
        let message = format!("The mock upstream was asked to answer {status}.");
        reply = dialect.error(status, &message, &call.id);
    }
    if let Some(least) = call.faults.huge {
        reply.pad(least);
    }
    (reply, call.faults)
}

// === impl Route ===

impl Route {
    const fn new(
        path: &'static str,
        methods: &'static str,
        dialect: Dialect,
        answer: fn(&mut Call<'_>) -> Result<Reply, Refusal>,
    ) -> Self {
        Self { path, prefix: false, methods, dialect, answer }
    }

    const fn and_below(self) -> Self {
        Self { prefix: true, ..self }
    }

    /// Whether ordered faults apply: everything that is posted to a dialect.
    pub(super) fn asks_a_model(&self) -> bool {
        self.methods == "POST"
    }

    /// Whether this serves the one who runs the mock rather than its clients.
    pub(super) fn is_control(&self) -> bool {
        self.path.starts_with("/mock/")
    }

    fn allows(&self, method: &str) -> bool {
        self.methods == "*" || self.methods.split(", ").any(|allowed| allowed == method)
    }

    fn not_allowed(&self, request: &Request<'_>) -> Reply {
        let message = format!("{} takes {}, not {}.", request.path, self.methods, request.method);
        let mut reply = self.dialect.error(405, &message, "");
        reply.allow = Some(self.methods);
        reply
    }
}

// === impl Call ===

impl<'a> Call<'a> {
    /// The body as what all dialects ask, and its model. The faults that the model's name asks for are added.
    pub(super) fn ask(&mut self) -> Result<(Ask<'a>, String), Refusal> {
        let mut ask: Ask<'a> = serde_json::from_slice(self.request.body)
            .map_err(|error| Refusal::new(400, format!("The body is not the JSON expected here: {error}.")))?;
        let model = ask.model.take().filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| Refusal::missing("model"))?;
        self.faults.add_from_model(&model).map_err(|error| {
            // A client that mistyped is to read so, whatever else it asked for.
            self.faults = Faults::default();
            Refusal::from(error)
        })?;
        Ok((ask, model))
    }
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// For a field that the dialect requires.
    pub(super) fn missing(field: &str) -> Self {
        Self::new(400, format!("The field `{field}` is missing."))
    }
}

impl From<FaultError> for Refusal {
    fn from(error: FaultError) -> Self {
        Self::new(400, error.to_string())
    }
}
