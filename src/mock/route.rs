//! The index card of the mock upstream: every path that it answers, and how a request gets from its path to its answer.

use super::answer;
use super::ask::Ask;
use super::fault::{FaultError, Faults};
use super::reply::{Dialect, Reply};
use super::state::Mock;
use super::stream::FAILED;
use super::{anthropic, chat, control, gemini, ollama, openai, responses};

/// One path and who answers it.
pub(super) struct Route {
    /// The path, as statistics show it; one `*` stands for anything, such as the name of a model.
    pub(super) path: &'static str,
    /// Whether paths that only begin so are meant too.
    prefix: bool,
    /// The methods allowed, as `allow` lists them; `*` is any.
    methods: &'static str,
    /// The form of answers and errors.
    pub(super) dialect: Dialect,
    /// Makes the answer.
    handler: Handler,
}

/// Makes the answer to a request.
enum Handler {
    /// What is shown to everybody.
    Show(fn(&Call<'_>) -> Reply),
    /// What depends on what was asked, which may be wrong.
    Answer(fn(&mut Call<'_>) -> Result<Reply, Refusal>),
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

/// Every path, those asked most often first. Gemini has several versions, which all clients of it choose among.
pub(super) static ROUTES: [Route; 30] = [
    Route::post("/v1/chat/completions", Dialect::OpenAi, chat::chat),
    Route::post("/v1/messages", Dialect::Anthropic, anthropic::messages),
    Route::post("/v1/responses", Dialect::Responses, responses::responses),
    Route::post("/api/chat", Dialect::Ollama, ollama::chat),
    Route::post("/api/generate", Dialect::Ollama, ollama::generate),
    Route::post("/v1/completions", Dialect::OpenAi, openai::completions),
    Route::post("/v1/embeddings", Dialect::OpenAi, openai::embeddings),
    Route::post("/v1*:generateContent", Dialect::Gemini, gemini::generate),
    Route::post("/v1*:streamGenerateContent", Dialect::Gemini, gemini::stream),
    Route::post("/v1*:countTokens", Dialect::Gemini, gemini::count_tokens),
    Route::post("/v1*:embedContent", Dialect::Gemini, gemini::embed),
    Route::post("/v1*:batchEmbedContents", Dialect::Gemini, gemini::embed_batch),
    Route::get("/v1beta/models", Dialect::Gemini, gemini::models),
    Route::get("/v1beta/models/*", Dialect::Gemini, gemini::model),
    Route::get("/v1/models", Dialect::OpenAi, openai::models),
    Route::get("/v1/models/*", Dialect::OpenAi, openai::model),
    Route::post("/v1/messages/count_tokens", Dialect::Anthropic, anthropic::count_tokens),
    Route::get("/api/hello", Dialect::Anthropic, anthropic::hello),
    Route::post("/api/embed", Dialect::Ollama, ollama::embed),
    Route::post("/api/embeddings", Dialect::Ollama, ollama::embeddings),
    Route::get("/api/tags", Dialect::Ollama, ollama::tags),
    Route::get("/api/version", Dialect::Ollama, ollama::version),
    Route::get("/api/ps", Dialect::Ollama, ollama::running),
    Route::post("/api/show", Dialect::Ollama, ollama::show),
    Route::get("/api/v0/models", Dialect::OpenAi, openai::lm_studio_models),
    Route::get("/", Dialect::OpenAi, control::front),
    Route::below("/bytes/", "GET, HEAD", control::bytes),
    Route::below("/echo", "*", control::echo),
    Route::get("/mock/stats", Dialect::OpenAi, control::stats),
    Route::new("/mock/fault", "POST, DELETE", Dialect::OpenAi, Handler::Answer(control::fault)),
];

/// The index in [`ROUTES`] of the route for a path.
pub(super) fn find(path: &str) -> Option<usize> {
    ROUTES.iter().position(|route| route.serves(path))
}

/// The route with this index.
pub(super) fn at(index: usize) -> Option<&'static Route> {
    ROUTES.get(index)
}

/// The answer to a request, and the faults that it suffers on its way out.
pub(super) fn answer(mock: &Mock, route: Option<&Route>, request: &Request<'_>, faults: Faults) -> (Reply, Faults) {
    let dialect = route.map_or(Dialect::OpenAi, |route| route.dialect);
    if let Some(only) = faults.only.filter(|only| !only.understands(dialect) && route.is_some_and(Route::asks_a_model))
    {
        let message = format!("The mock upstream was asked not to serve {}.", request.path);
        return (only.error(404, &message, ""), faults);
    }
    let mut call = Call { mock, request, faults, id: answer::id(request.path, request.body) };
    let answered = match route {
        Some(route) if route.allows(request.method) => match route.handler {
            Handler::Show(show) => Ok(show(&call)),
            Handler::Answer(answer) => answer(&mut call),
        },
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
    if let Some(failure) = call.faults.error {
        reply = dialect.failure(failure, &call.id);
        if failure.passes() {
            call.faults.retry_after.get_or_insert_with(|| "1".to_owned());
        }
    }
    if let Some(least) = call.faults.huge {
        reply.pad(least);
    }
    (reply, call.faults)
}

// === impl Route ===

impl Route {
    const fn new(path: &'static str, methods: &'static str, dialect: Dialect, handler: Handler) -> Self {
        Self { path, prefix: false, methods, dialect, handler }
    }

    const fn get(path: &'static str, dialect: Dialect, show: fn(&Call<'_>) -> Reply) -> Self {
        Self::new(path, "GET, HEAD", dialect, Handler::Show(show))
    }

    const fn post(path: &'static str, dialect: Dialect, answer: fn(&mut Call<'_>) -> Result<Reply, Refusal>) -> Self {
        Self::new(path, "POST", dialect, Handler::Answer(answer))
    }

    /// For a path and all that begin with it.
    const fn below(
        path: &'static str,
        methods: &'static str,
        answer: fn(&mut Call<'_>) -> Result<Reply, Refusal>,
    ) -> Self {
        Self { prefix: true, ..Self::new(path, methods, Dialect::OpenAi, Handler::Answer(answer)) }
    }

    /// Whether ordered faults apply: everything that is posted to a dialect.
    pub(super) fn asks_a_model(&self) -> bool {
        self.methods == "POST"
    }

    /// Whether this serves the one who runs the mock rather than its clients.
    pub(super) fn is_control(&self) -> bool {
        self.path.starts_with("/mock/")
    }

    fn serves(&self, path: &str) -> bool {
        match self.path.split_once('*') {
            Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
            None => self.path == path || (self.prefix && path.starts_with(self.path)),
        }
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

// === impl Request ===

impl Request<'_> {
    /// The value of a header field, when it has one that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = std::str::from_utf8(self.head).ok()?.lines();
        let fields = lines.filter_map(|line| line.split_once(':'));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The model's name in the path, whose last part may end with a verb; escapes are undone (RFC 3986 §2.1).
    pub(super) fn model(&self) -> String {
        let last = self.path.split_once("/models/").map_or("", |(_, last)| last);
        let name = last.rsplit_once(':').map_or(last, |(name, _)| name);
        unescape(name)
    }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = after.get(if escaped.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl Call ===

impl Call<'_> {
    /// The body as what all dialects ask, and its model. The faults that the model's name asks for are added.
    pub(super) fn ask(&mut self) -> Result<Ask, Refusal> {
        let ask = Ask::read(self.request.body)?;
        self.suffer(&ask.model)?;
        Ok(ask)
    }

    /// The same in Gemini's dialect, where the path names the model.
    pub(super) fn ask_by_path(&mut self) -> Result<Ask, Refusal> {
        let ask = Ask::read_gemini(self.request.model(), self.request.body)?;
        self.suffer(&ask.model)?;
        Ok(ask)
    }

    fn suffer(&mut self, model: &str) -> Result<(), Refusal> {
        self.faults.add_from_model(model).map_err(|error| {
            // A client that mistyped is to read so, whatever else it asked for.
            self.faults = Faults::default();
            Refusal::from(error)
        })
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
