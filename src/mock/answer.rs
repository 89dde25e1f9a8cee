//! What the mock upstream says and how it is identified: the same for equal requests, and the same in every dialect.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ask::Ask;
use super::fault::Faults;
use super::reply::Dialect;
use super::said::Said;
use super::sample::sample;
use super::tool::ToolCall;

/// One answer, before a dialect writes it.
pub(super) struct Answer {
    /// What the model thought before, when the client wants to see it.
    pub(super) thoughts: Option<String>,
    /// What it says; empty when it calls tools.
    pub(super) text: String,
    /// The tools that it calls.
    pub(super) calls: Vec<ToolCall>,
    /// Whether the client's limit ended the text.
    pub(super) cut: bool,
    /// The tokens of the request.
    pub(super) input: usize,
    /// How many of them were read from a cache: half, for a model with `cached` in its name.
    pub(super) cached: usize,
}

/// The one moment at which every answer is made: seconds since 1970, 2023-11-14T22:13:20Z.
pub(super) const CREATED: u64 = 1_700_000_000;
/// The same moment as RFC 3339 writes it.
pub(super) const CREATED_AT: &str = "2023-11-14T22:13:20Z";
/// The models that are listed; any other is served as well.
pub(super) const MODELS: [&str; 3] = ["mock-small", "mock-large", "mock-embed"];
/// The tokens of a request besides its words.
const AROUND: usize = 10;
/// Where the dialects put the most tokens that an answer may have.
const LIMITS: [&str; 5] = [
    "/max_completion_tokens",
    "/max_tokens",
    "/max_output_tokens",
    "/generationConfig/maxOutputTokens",
    "/options/num_predict",
];

// === impl Answer ===

impl Answer {
    /// The answer to a conversation: calls of tools, else a JSON document when one is wanted, else a text.
    pub(super) fn new(ask: &Ask, said: &Said, dialect: Dialect, faults: &Faults) -> Self {
        let calls = ToolCall::wanted(ask, said);
        let whole = if calls.is_empty() { full_text(ask, said, faults) } else { String::new() };
        let limit = LIMITS.iter().find_map(|place| ask.number(place));
        let limit = limit.filter(|_| faults.huge.is_none() && faults.events.is_none());
        let text: String = words(&whole).take(limit.unwrap_or(usize::MAX)).collect();
        let thoughts = shows_thoughts(ask, dialect).then(|| format!("The user said: {}", said.text));
        let input = prompt_tokens(&said.text);
        let cached = if ask.model.contains("cached") { input / 2 } else { 0 };
        Self { thoughts, cut: text != whole, text, calls, input, cached }
    }

    /// The tokens of the text and the calls.
    pub(super) fn visible_tokens(&self) -> usize {
        tokens(&self.text) + self.calls.iter().map(|call| call.fragments().count()).sum::<usize>()
    }

    /// The tokens of the thoughts.
    pub(super) fn thought_tokens(&self) -> usize {
        self.thoughts.as_deref().map_or(0, tokens)
    }

    /// The tokens of all that the model wrote.
    pub(super) fn output(&self) -> usize {
        self.visible_tokens() + self.thought_tokens()
    }
}

fn full_text(ask: &Ask, said: &Said, faults: &Faults) -> String {
    match document(ask) {
        Some(Value::Object(schema)) => sample(&Value::Object(schema)).to_string(),
        Some(_) => json!({ "said": said.text }).to_string(),
        None => text(&sentence(said), faults),
    }
}

/// The one sentence of every text answer.
fn sentence(said: &Said) -> String {
    if !said.results.is_empty() {
        return format!("The tool said: {}", said.results.join(", "));
    }
    let held = [(said.images, "image"), (said.documents, "document"), (said.thoughts, "thought")];
    let held: Vec<String> = held.into_iter().filter(|(count, _)| *count > 0).map(counted).collect();
    let with = if held.is_empty() { String::new() } else { format!(" (with {})", held.join(" and ")) };
    format!("You said: {}{with}", said.text)
}

fn counted((count, name): (usize, &str)) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// The schema that the answer must fit, or any other value when any JSON does; `None` when a text is wanted.
fn document(ask: &Ask) -> Option<Value> {
    let schema = [
        "/response_format/json_schema/schema",
        "/text/format/schema",
        "/output_config/format/schema",
        "/output_format/schema",
        "/generationConfig/responseJsonSchema",
        "/generationConfig/responseSchema",
        "/format",
    ];
    let any = ["/response_format/type", "/text/format/type", "/generationConfig/responseMimeType"];
    let wanted = |place: &str| matches!(ask.text(place), Some("json_object" | "application/json"));
    let schema = schema.iter().find_map(|place| ask.get(place).cloned());
    schema.or_else(|| any.iter().any(|place| wanted(place)).then_some(Value::Bool(true)))
}

/// Whether the client wants to see what the model thought, as each dialect lets it say.
fn shows_thoughts(ask: &Ask, dialect: Dialect) -> bool {
    let reasons = ask.model.contains("reason");
    match dialect {
        Dialect::OpenAi => reasons,
        Dialect::Responses => {
            let effort = ask.get("/reasoning").is_some() && ask.text("/reasoning/effort") != Some("none");
            reasons || effort || includes_sealed_thoughts(ask)
        }
        Dialect::Anthropic => matches!(ask.text("/thinking/type"), Some("enabled" | "adaptive")),
        Dialect::Gemini => ask.is_set("/generationConfig/thinkingConfig/includeThoughts"),
        Dialect::Ollama => ask.get("/think").is_some_and(|think| *think != Value::Bool(false)),
    }
}

/// Whether a client of Responses wants its thoughts sealed, so that it can send them back.
pub(super) fn includes_sealed_thoughts(ask: &Ask) -> bool {
    ask.list("/include").unwrap_or_default().iter().any(|item| item == "reasoning.encrypted_content")
}

/// Hexadecimal digits that are the same for the same path and body.
pub(super) fn id(path: &str, body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes()).update(b"\0").update(body);
    let mut digits = hasher.finalize().to_hex().to_string();
    digits.truncate(24);
    digits
}

/// What stands for sealed thoughts: opaque to clients, the same for the same answer.
pub(super) fn seal(id: &str) -> String {
    STANDARD.encode(format!("sealed thoughts of {id}"))
}

/// A text as long as the faults want it.
pub(super) fn text(plain: &str, faults: &Faults) -> String {
    match (faults.huge, faults.events) {
        (Some(length), words) => fill(length, words.unwrap_or(1)),
        (None, Some(words)) => repeat(plain, words),
        (None, None) => plain.to_owned(),
    }
}

/// A text word by word, each with the blanks before it, so that the words joined are the text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.len() - rest.trim_start().len();
        let length = rest.get(start..)?.find(char::is_whitespace).unwrap_or(rest.len() - start);
        let (word, left) = rest.split_at(start + length);
        rest = left;
        Some(word).filter(|word| !word.is_empty())
    })
}

/// The tokens of an answer: as many as it has words.
pub(super) fn tokens(text: &str) -> usize {
    words(text).count()
}

/// The tokens of a request: the words that the user said last and a few, so that they are the same in every dialect.
pub(super) fn prompt_tokens(said: &str) -> usize {
    AROUND + tokens(said)
}

/// `length` bytes of text in `words` words, or in as many as fit.
fn fill(length: usize, words: usize) -> String {
    let size = (length / words).max(2);
    let letters = b"tide".iter().copied().cycle();
    let text = letters.take(length).enumerate();
    text.map(|(index, letter)| if index > 0 && index % size == 0 && index / size < words { ' ' } else { letter.into() })
        .collect()
}

/// The words of `text` over and over, until there are `count`.
fn repeat(text: &str, count: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().cycle().take(count).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_text_joined_are_the_text() {
        for text in ["You said: hello there", " a  b\n\tc ", "", " ", "naïve 🌊 flood", "one"] {
            assert_eq!(words(text).collect::<String>(), text);
        }
        assert_eq!(words("You said: hi").collect::<Vec<_>>(), ["You", " said:", " hi"]);
    }

    #[test]
    fn an_answer_has_the_length_asked_for() {
        let asked = |huge, events| text("hi", &Faults { huge, events, ..Faults::default() });
        assert_eq!(tokens(&asked(None, Some(200))), 200);
        assert_eq!(asked(Some(1000), None).len(), 1000);
        assert_eq!(tokens(&asked(Some(1000), None)), 1);
        assert_eq!(asked(Some(1003), Some(7)).len(), 1003);
        assert_eq!(tokens(&asked(Some(1003), Some(7))), 7);
    }

    #[test]
    fn an_id_depends_on_path_and_body() {
        assert_eq!(id("/a", b"b"), id("/a", b"b"));
        assert_ne!(id("/a", b"b"), id("/a", b"c"));
        assert_ne!(id("/a", b"b"), id("/b", b"b"));
    }
}
