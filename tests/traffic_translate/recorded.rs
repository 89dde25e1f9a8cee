//! The recorded exchanges of dialects that have a codec.

use bytes::Bytes;
use serde_json::Value;
use tidegate::dialect::Dialect;
use tidegate::dialect::habits::Habits;
use tidegate::dialect::way;
use tidegate::stream::Wire;

/// One recorded exchange.
pub(crate) struct Recorded {
    /// Its name.
    pub(crate) id: String,
    /// Its dialect, by its path.
    pub(crate) dialect: Dialect,
    /// Its path and query.
    pub(crate) target: String,
    /// Its request, where that is JSON.
    pub(crate) request: Value,
    /// The status of its answer.
    pub(crate) status: u16,
    /// How the answer streams, if it does.
    pub(crate) wire: Option<Wire>,
    /// The answer.
    pub(crate) answer: String,
}

// === impl Recorded ===

impl Recorded {
    fn of(line: &str) -> Option<Self> {
        let all: Value = serde_json::from_str(line).unwrap();
        let target = all["request"]["path"].as_str()?.to_owned();
        let dialect = Dialect::of_path(target.split('?').next()?)?;
        way::codec(dialect, &target, Habits::OPENAI)?;
        // A text can say more than one wire's streams; and some services have paths of one API, and bodies of another.
        let own = ["openai.", "anthropic.", "gemini.", "ollama.", "writer."];
        own.iter().find(|api| all["api"].as_str().is_some_and(|name| name.starts_with(*api)))?;
        let wire = wire(&all)?;
        Some(Self {
            id: all["id"].as_str()?.to_owned(),
            dialect,
            target,
            request: all["request"]["body_json"].clone(),
            status: u16::try_from(all["response"]["status"].as_u64()?).ok()?,
            wire,
            answer: all["response"]["body_text"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Whether it has an answer to a chat: counts of tokens are none.
    pub(crate) fn has_answer(&self) -> bool {
        !matches!(self.dialect, Dialect::AnthropicCount | Dialect::GeminiCount)
    }
}

/// One recorded stream of events, of whatever API.
pub(crate) struct Stream {
    /// Its name.
    pub(crate) id: String,
    /// How its events stand on the wire.
    pub(crate) wire: Wire,
    /// All of it.
    pub(crate) bytes: Bytes,
}

/// The recorded exchanges that fit; none where nothing is recorded.
pub(crate) fn recorded(fits: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
    text().lines().filter_map(Recorded::of).filter(fits).collect()
}

/// Every recorded stream on a wire that the gate cuts into events: all but those of binary frames, which pass uncut.
pub(crate) fn streams() -> Vec<Stream> {
    let text = text();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let streams = all.filter_map(|all| {
        let (id, wire) = (all["id"].as_str()?.to_owned(), wire(&all)??);
        let bytes = Bytes::from(all["response"]["body_text"].as_str()?.to_owned());
        Some(Stream { id, wire, bytes })
    });
    streams.collect()
}

/// How the answer of an exchange stands on the wire: with a wire as a stream of events; `None` for binary frames.
#[expect(clippy::option_option, reason = "an answer that is whole has no wire, one in frames is not read at all")]
fn wire(all: &Value) -> Option<Option<Wire>> {
    match all["wire"].as_str()? {
        "json" => Some(None),
        "sse" => Some(Some(Wire::Sse)),
        "ndjson" => Some(Some(Wire::Ndjson)),
        "json-array" => Some(Some(Wire::JsonArray)),
        _ => None,
    }
}

/// What is recorded.
fn text() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded traffic here");
        return String::new();
    };
    text
}
