//! Google's Gemini dialect: contents and their stream, token counts, embeddings and models.

use serde_json::{Map, Value, json};

use super::answer::{self, Answer, MODELS};
use super::embedding;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::said::{self, Said};
use super::stream::Stream;

/// `POST /v1beta/models/…:generateContent`.
pub(super) fn generate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (model, answer) = answered(call)?;
    let parts = Parts::of(&answer, &call.id);
    let chunk = Chunk { id: &call.id, model: &model, answer: &answer };
    Ok(Reply::indented(&chunk.render(&parts.whole(), true)))
}

/// `POST /v1beta/models/…:streamGenerateContent`, in events with `alt=sse`, else as one array.
pub(super) fn stream(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (model, answer) = answered(call)?;
    let events = call.request.query.split('&').any(|field| field == "alt=sse");
    let make = if events { Stream::new } else { Stream::array };
    let mut stream = make(Dialect::Gemini, &call.faults);
    let chunk = Chunk { id: &call.id, model: &model, answer: &answer };
    for parts in Parts::of(&answer, &call.id).pieces() {
        stream.event("", &chunk.render(&parts, false));
    }
    stream.finish("", &chunk.render(&[json!({ "text": "" })], true));
    Ok(Reply::events(stream))
}

/// `POST /v1beta/models/…:countTokens`.
pub(super) fn count_tokens(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask_by_path()?;
    let within = ask.list("/generateContentRequest/contents");
    let turns = if let Some(turns) = within { turns } else { ask.turns("contents")? };
    let total = answer::prompt_tokens(&Said::of(turns).text);
    Ok(Reply::indented(&json!({ "totalTokens": total, "promptTokensDetails": text_tokens(total) })))
}

/// `POST /v1beta/models/…:embedContent`.
pub(super) fn embed(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask_by_path()?;
    ask.required("content")?;
    Ok(Reply::indented(&json!({ "embedding": embedded(ask.get("").unwrap_or(&Value::Null))? })))
}

/// `POST /v1beta/models/…:batchEmbedContents`.
pub(super) fn embed_batch(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask_by_path()?;
    let embeddings = ask.turns("requests")?.iter().map(embedded).collect::<Result<Vec<Value>, Refusal>>()?;
    Ok(Reply::indented(&json!({ "embeddings": embeddings })))
}

/// `GET /v1beta/models`.
pub(super) fn models(_: &Call<'_>) -> Reply {
    Reply::indented(&json!({ "models": MODELS.map(described) }))
}

/// `GET /v1beta/models/…`: any model there is a name for.
pub(super) fn model(call: &Call<'_>) -> Reply {
    Reply::indented(&described(&call.request.model()))
}

fn answered(call: &mut Call<'_>) -> Result<(String, Answer), Refusal> {
    let ask = call.ask_by_path()?;
    let said = Said::of(ask.turns("contents")?);
    let answer = Answer::new(&ask, &said, Dialect::Gemini, &call.faults);
    Ok((ask.model, answer))
}

/// The vector of one request for an embedding: of a text, as other dialects have it.
fn embedded(request: &Value) -> Result<Value, Refusal> {
    let parts = request.pointer("/content/parts").ok_or_else(|| Refusal::missing("content"))?;
    let dimensions = request.get("outputDimensionality").and_then(Value::as_u64);
    let dimensions = dimensions.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let vector = embedding::vector(&json!(said::text_of(parts)), dimensions)?;
    Ok(json!({ "values": vector }))
}

fn described(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": name,
        "description": "A model of the mock upstream.",
        "inputTokenLimit": 8192,
        "outputTokenLimit": 8192,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    })
}

fn text_tokens(count: usize) -> Value {
    json!([{ "modality": "TEXT", "tokenCount": count }])
}

/// The parts of one answer.
struct Parts<'a> {
    /// What it is made of.
    answer: &'a Answer,
    /// Put under the part that follows the thoughts.
    seal: Option<String>,
}

/// What all chunks of one answer are made of.
struct Chunk<'a> {
    /// The response's id.
    id: &'a str,
    /// As the path names it.
    model: &'a str,
    /// For the usage and the reason of the end.
    answer: &'a Answer,
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn of(answer: &'a Answer, id: &str) -> Self {
        Self { answer, seal: answer.thoughts.as_ref().map(|_| answer::seal(id)) }
    }

    /// Thoughts, then the text or the calls, one part each.
    fn whole(&self) -> Vec<Value> {
        let thoughts = self.answer.thoughts.iter().map(|thoughts| json!({ "text": thoughts, "thought": true }));
        thoughts.chain(self.sealed(self.rest(std::iter::once(self.answer.text.as_str())))).collect()
    }

    /// The same word by word; calls come all at once.
    fn pieces(&self) -> Vec<Vec<Value>> {
        let thoughts = self.answer.thoughts.iter().flat_map(|thoughts| answer::words(thoughts));
        let thoughts = thoughts.map(|word| vec![json!({ "text": word, "thought": true })]);
        let rest = self.sealed(self.rest(answer::words(&self.answer.text)));
        let rest =
            if self.answer.calls.is_empty() { rest.into_iter().map(|part| vec![part]).collect() } else { vec![rest] };
        thoughts.chain(rest).collect()
    }

    fn rest<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Vec<Value> {
        if self.answer.calls.is_empty() {
            return texts.map(|text| json!({ "text": text })).collect();
        }
        let calls = self.answer.calls.iter();
        calls.map(|called| json!({ "functionCall": { "name": called.name, "args": called.arguments() } })).collect()
    }

    fn sealed(&self, mut parts: Vec<Value>) -> Vec<Value> {
        if let (Some(seal), Some(first)) = (&self.seal, parts.first_mut()) {
            first["thoughtSignature"] = json!(seal);
        }
        parts
    }
}

// === impl Chunk ===

impl Chunk<'_> {
    /// One response object; the last one tells why the answer ended.
    fn render(&self, parts: &[Value], last: bool) -> Value {
        let mut candidate = Map::new();
        candidate.insert("content".to_owned(), json!({ "parts": parts, "role": "model" }));
        if last {
            candidate.insert("finishReason".to_owned(), json!(if self.answer.cut { "MAX_TOKENS" } else { "STOP" }));
        }
        candidate.insert("index".to_owned(), json!(0));
        json!({
            "candidates": [candidate],
            "usageMetadata": self.usage(),
            "modelVersion": self.model,
            "responseId": self.id,
        })
    }

    /// Thoughts are not part of the candidates' tokens here.
    fn usage(&self) -> Value {
        let Answer { input, cached, .. } = *self.answer;
        let mut usage = json!({
            "promptTokenCount": input,
            "candidatesTokenCount": self.answer.visible_tokens(),
            "totalTokenCount": input + self.answer.output(),
            "promptTokensDetails": text_tokens(input),
        });
        if cached > 0 {
            usage["cachedContentTokenCount"] = json!(cached);
        }
        if self.answer.thoughts.is_some() {
            usage["thoughtsTokenCount"] = json!(self.answer.thought_tokens());
        }
        usage
    }
}
