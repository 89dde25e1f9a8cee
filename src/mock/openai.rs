//! The `OpenAI` dialect but for chat and Responses: completions, embeddings and models, and LM Studio's list of models.

use serde_json::{Map, Value, json};

use super::answer::{self, CREATED, CREATED_AT, MODELS};
use super::ask::{self, Ask};
use super::embedding;
use super::gemini;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::stream::Stream;

/// The chunks of one stream, of chat or of completions.
pub(super) struct Chunks {
    /// Where they go.
    stream: Stream,
    /// The fields that all chunks have.
    common: Map<String, Value>,
    /// Whether the client wants the usage: the last chunk tells it, those before say null.
    tells_usage: bool,
}

/// `POST /v1/completions`: one choice for each prompt.
pub(super) fn completions(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let prompts = ask.get("/prompt").and_then(ask::texts);
    let prompts = prompts.ok_or_else(|| Refusal::new(400, "`prompt` must be a text or a list of texts."))?;
    let text = |prompt: &String| answer::text(&format!("You said: {prompt}"), &call.faults);
    let texts: Vec<String> = prompts.iter().map(text).collect();
    let input = prompts.iter().map(|prompt| answer::prompt_tokens(prompt)).sum();
    let usage = usage(input, texts.iter().map(|text| answer::tokens(text)).sum());
    let id = format!("cmpl-{}", call.id);
    let choice = |index: usize, text: &str, finish: Option<&str>| json!({ "text": text, "index": index, "logprobs": null, "finish_reason": finish });
    if ask.is_set("/stream") {
        let mut chunks = Chunks::new(call, &ask, &id, "text_completion");
        for (index, text) in texts.iter().enumerate() {
            answer::words(text).for_each(|word| chunks.choice(&choice(index, word, None)));
            chunks.choice(&choice(index, "", Some("stop")));
        }
        return Ok(chunks.end(&usage));
    }
    let choices = texts.iter().enumerate().map(|(index, text)| choice(index, text, Some("stop")));
    Ok(Reply::json(&json!({
        "id": id,
        "object": "text_completion",
        "created": CREATED,
        "model": ask.model,
        "choices": choices.collect::<Vec<_>>(),
        "usage": usage,
    })))
}

/// `POST /v1/embeddings`.
pub(super) fn embeddings(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let write = match ask.text("/encoding_format") {
        None | Some("float") => |vector: &[f32]| json!(vector),
        Some("base64") => |vector: &[f32]| json!(embedding::as_base64(vector)),
        Some(_) => return Err(Refusal::new(400, "`encoding_format` must be float or base64.")),
    };
    let input = ask.required("input")?;
    let data = ask::items(input).into_iter().enumerate().map(|(index, item)| {
        let vector = write(&embedding::vector(item, ask.number("/dimensions"))?);
        Ok(json!({ "object": "embedding", "index": index, "embedding": vector }))
    });
    let data = data.collect::<Result<Vec<Value>, Refusal>>()?;
    let tokens = answer::prompt_tokens(&input.to_string());
    Ok(Reply::json(&json!({
        "object": "list",
        "data": data,
        "model": ask.model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })))
}

/// `GET /v1/models`, in Anthropic's form for those who name a version of its API, in Gemini's for those with its key.
pub(super) fn models(call: &Call<'_>) -> Reply {
    if speaks_anthropic(call) {
        let [first, .., last] = MODELS;
        let data = MODELS.map(anthropic_model);
        return Reply::json(&json!({ "data": data, "has_more": false, "first_id": first, "last_id": last }));
    }
    if speaks_gemini(call) {
        return gemini::models(call);
    }
    Reply::json(&json!({ "object": "list", "data": MODELS.map(openai_model) }))
}

/// `GET /v1/models/…`: any model there is a name for.
pub(super) fn model(call: &Call<'_>) -> Reply {
    if speaks_gemini(call) {
        return gemini::model(call);
    }
    let name = call.request.model();
    Reply::json(&if speaks_anthropic(call) { anthropic_model(&name) } else { openai_model(&name) })
}

/// `GET /api/v0/models`, as LM Studio lists them.
pub(super) fn lm_studio_models(_: &Call<'_>) -> Reply {
    let list = MODELS.map(|id| {
        json!({
            "id": id,
            "object": "model",
            "type": if id == "mock-embed" { "embeddings" } else { "llm" },
            "publisher": "tidegate-mock",
            "arch": "mock",
            "compatibility_type": "gguf",
            "quantization": "Q4_0",
            "state": "loaded",
            "max_context_length": 8192,
            "loaded_context_length": 8192,
        })
    });
    Reply::json(&json!({ "data": list, "object": "list" }))
}

fn speaks_anthropic(call: &Call<'_>) -> bool {
    call.request.header("anthropic-version").is_some()
}

fn speaks_gemini(call: &Call<'_>) -> bool {
    call.request.header("x-goog-api-key").is_some()
}

fn openai_model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "tidegate-mock" })
}

fn anthropic_model(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": CREATED_AT })
}

fn usage(prompt: usize, completion: usize) -> Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}

// === impl Chunks ===

impl Chunks {
    pub(super) fn new(call: &Call<'_>, ask: &Ask, id: &str, object: &str) -> Self {
        let fields = [
            ("id", json!(id)),
            ("object", json!(object)),
            ("created", json!(CREATED)),
            ("model", json!(ask.model)),
            ("system_fingerprint", json!("fp_mock")),
        ];
        Self {
            stream: Stream::new(Dialect::OpenAi, &call.faults),
            common: fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
            tells_usage: ask.is_set("/stream_options/include_usage"),
        }
    }

    /// A chunk with a change to one choice.
    pub(super) fn choice(&mut self, choice: &Value) {
        self.chunk(json!([choice]), Value::Null);
    }

    fn chunk(&mut self, choices: Value, usage: Value) {
        let mut chunk = self.common.clone();
        chunk.insert("choices".to_owned(), choices);
        if self.tells_usage {
            chunk.insert("usage".to_owned(), usage);
        }
        self.stream.event("", &Value::Object(chunk));
    }

    /// The chunk with the usage, when it was asked for, and the mark at the end.
    pub(super) fn end(mut self, usage: &Value) -> Reply {
        if self.tells_usage {
            self.chunk(json!([]), usage.clone());
        }
        self.stream.finish("", &"[DONE]");
        Reply::events(self.stream)
    }
}
