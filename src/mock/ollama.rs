//! Ollama's own dialect: chat, generate, embeddings, and what a client asks about the server and its models.

use serde_json::{Map, Value, json};

use super::answer::{self, Answer, CREATED_AT, MODELS};
use super::ask;
use super::embedding;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::said::Said;
use super::stream::Stream;
use super::tool;

/// The lines of one answer.
struct Lines<'a> {
    /// The request, for its faults.
    call: &'a Call<'a>,
    /// As the client wrote it.
    model: &'a str,
    /// Whether the answer comes in several lines.
    streamed: bool,
    /// For the counts and the reason of the end.
    answer: &'a Answer,
}

/// `POST /api/chat`.
pub(super) fn chat(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let said = Said::of(ask.turns("messages")?);
    let answer = Answer::new(&ask, &said, Dialect::Ollama, &call.faults);
    let lines = Lines { call, model: &ask.model, streamed: streams(&ask), answer: &answer };
    let message = |field: &str, value: Value| {
        let mut message = json!({ "role": "assistant", "content": "" });
        message[field] = value;
        fields("message", message)
    };
    if !lines.streamed {
        let mut message = json!({ "role": "assistant", "content": answer.text });
        if let Some(thoughts) = &answer.thoughts {
            message["thinking"] = json!(thoughts);
        }
        if !answer.calls.is_empty() {
            message["tool_calls"] = calls(&answer, &call.id);
        }
        return Ok(lines.whole(fields("message", message)));
    }
    let thoughts = answer.thoughts.iter().flat_map(|thoughts| answer::words(thoughts));
    let mut parts: Vec<_> = thoughts.map(|word| message("thinking", json!(word))).collect();
    parts.extend(answer::words(&answer.text).map(|word| message("content", json!(word))));
    if !answer.calls.is_empty() {
        parts.push(message("tool_calls", calls(&answer, &call.id)));
    }
    Ok(lines.streamed(parts, message("content", json!(""))))
}

/// `POST /api/generate`.
pub(super) fn generate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let prompt = ask.get("/prompt").and_then(ask::texts).unwrap_or_default().concat();
    let images = ask.list("/images").map_or(0, <[Value]>::len);
    let answer = Answer::new(&ask, &Said { images, ..Said::only(&prompt) }, Dialect::Ollama, &call.faults);
    let lines = Lines { call, model: &ask.model, streamed: streams(&ask), answer: &answer };
    if !lines.streamed {
        let mut whole = fields("response", json!(answer.text));
        whole.extend(answer.thoughts.iter().map(|thoughts| ("thinking".to_owned(), json!(thoughts))));
        return Ok(lines.whole(whole));
    }
    let response = |word: &str| fields("response", json!(word));
    let thought = |word: &str| {
        let mut line = response("");
        line.insert("thinking".to_owned(), json!(word));
        line
    };
    let thoughts = answer.thoughts.iter().flat_map(|thoughts| answer::words(thoughts));
    let parts = thoughts.map(thought).chain(answer::words(&answer.text).map(response)).collect();
    Ok(lines.streamed(parts, response("")))
}

/// `POST /api/embed`.
pub(super) fn embed(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let input = ask.required("input")?;
    let vectors = ask::items(input).into_iter().map(|item| embedding::vector(item, ask.number("/dimensions")));
    let vectors = vectors.collect::<Result<Vec<_>, Refusal>>()?;
    Ok(Reply::json(&json!({
        "model": ask.model,
        "embeddings": vectors,
        "total_duration": 2_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": answer::prompt_tokens(&input.to_string()),
    })))
}

/// `POST /api/embeddings`, the older form for one text.
pub(super) fn embeddings(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    Ok(Reply::json(&json!({ "embedding": embedding::vector(ask.required("prompt")?, None)? })))
}

/// `GET /api/tags`: the models there are.
pub(super) fn tags(_: &Call<'_>) -> Reply {
    list(|model| model["modified_at"] = json!(CREATED_AT))
}

/// `GET /api/ps`: the models that are loaded, which are all.
pub(super) fn running(_: &Call<'_>) -> Reply {
    list(|model| {
        model["expires_at"] = json!("2318-11-14T22:13:20Z");
        model["size_vram"] = json!(1_000_000_000);
        model["context_length"] = json!(8192);
    })
}

/// `GET /api/version`.
pub(super) fn version(_: &Call<'_>) -> Reply {
    Reply::json(&json!({ "version": "0.0.0-mock" }))
}

/// `POST /api/show`.
pub(super) fn show(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    Ok(Reply::json(&json!({
        "modelfile": format!("FROM {}", ask.model),
        "parameters": "temperature 0",
        "template": "{{ .Prompt }}",
        "details": details(),
        "model_info": {
            "general.architecture": "mock",
            "general.parameter_count": 1_000_000_000,
            "mock.context_length": 8192,
            "mock.embedding_length": 16,
        },
        "capabilities": ["completion", "tools", "thinking", "vision"],
        "modified_at": CREATED_AT,
    })))
}

fn list(more: impl Fn(&mut Value)) -> Reply {
    let models = MODELS.map(|name| {
        let mut model = json!({
            "name": format!("{name}:latest"),
            "model": format!("{name}:latest"),
            "size": 1_000_000_000,
            "digest": blake3::hash(name.as_bytes()).to_hex().as_str(),
            "details": details(),
        });
        more(&mut model);
        model
    });
    Reply::json(&json!({ "models": models }))
}

fn details() -> Value {
    json!({
        "parent_model": "",
        "format": "gguf",
        "family": "mock",
        "families": ["mock"],
        "parameter_size": "1B",
        "quantization_level": "Q4_0",
    })
}

/// Ollama streams unless told otherwise.
fn streams(ask: &ask::Ask) -> bool {
    ask.get("/stream") != Some(&Value::Bool(false))
}

fn calls(answer: &Answer, id: &str) -> Value {
    let calls = answer.calls.iter().enumerate().map(|(index, called)| {
        let function = json!({ "index": index, "name": called.name, "arguments": called.arguments() });
        json!({ "id": format!("call_{}", tool::nth(id, index)), "function": function })
    });
    calls.collect()
}

fn fields(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

// === impl Lines ===

impl Lines<'_> {
    fn whole(&self, content: Map<String, Value>) -> Reply {
        Reply::json(&self.last(content))
    }

    /// A line for each of `parts`, and the last line with `end`.
    fn streamed(&self, parts: Vec<Map<String, Value>>, end: Map<String, Value>) -> Reply {
        let mut stream = Stream::new(Dialect::Ollama, &self.call.faults);
        for part in parts {
            let mut line = self.line(part);
            line.insert("done".to_owned(), json!(false));
            stream.event("", &Value::Object(line));
        }
        stream.finish("", &self.last(end));
        Reply::events(stream)
    }

    fn line(&self, content: Map<String, Value>) -> Map<String, Value> {
        let mut line = fields("model", json!(self.model));
        line.insert("created_at".to_owned(), json!(CREATED_AT));
        line.extend(content);
        line
    }

    /// The line that tells the end; calling a tool is a plain stop here too. Times are in nanoseconds, the same in
    /// every answer.
    fn last(&self, content: Map<String, Value>) -> Value {
        let mut line = Value::Object(self.line(content));
        line["done"] = json!(true);
        line["done_reason"] = json!(if self.answer.cut { "length" } else { "stop" });
        line["total_duration"] = json!(2_000_000);
        line["load_duration"] = json!(1_000_000);
        line["prompt_eval_count"] = json!(self.answer.input);
        line["prompt_eval_duration"] = json!(500_000);
        line["eval_count"] = json!(self.answer.output());
        line["eval_duration"] = json!(500_000);
        line
    }
}
