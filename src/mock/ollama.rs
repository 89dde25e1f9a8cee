//! Ollama's own dialect: chat, generate, embeddings, and what a client asks about the server and its models.

use super::answer::{self, CREATED_AT, MODELS};
use super::ask;
use super::embedding;
use super::quote::Quoted;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::stream::Stream;
use super::tool::ToolCall;

/// Times in nanoseconds, the same in every answer.
const DURATIONS: &str =
    r#""total_duration":2000000,"load_duration":1000000,"prompt_eval_duration":500000,"eval_duration":500000"#;
/// What a list tells about every model.
const DETAILS: &str = r#"{"parent_model":"","format":"gguf","family":"mock","families":["mock"],"parameter_size":"1B","quantization_level":"Q4_0"}"#;

/// What the lines of one answer carry.
struct Lines<'a> {
    /// Model and time, which begin every line.
    begin: String,
    /// The request, for its faults and length.
    call: &'a Call<'a>,
}

/// `POST /api/chat`.
pub(super) fn chat(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let said = ask::said(ask.messages.as_deref().ok_or_else(|| Refusal::missing("messages"))?);
    let lines = Lines::new(call, &model);
    let streamed = ask.stream != Some(false);
    if let Some(tool) = ToolCall::wanted(&ask, &said) {
        let (id, name, arguments) = (&call.id, Quoted(&tool.name), &tool.arguments);
        let message = format!(
            r#""message":{{"role":"assistant","content":"","tool_calls":[{{"id":"call_{id}","function":{{"index":0,"name":{name},"arguments":{arguments}}}}}]}}"#
        );
        return Ok(lines.reply(
            streamed,
            std::slice::from_ref(&message),
            &message,
            MESSAGE_END,
            tool.fragments().count(),
        ));
    }
    let text = answer::text(&said.text, &call.faults);
    let message = |text: &str| format!(r#""message":{{"role":"assistant","content":{}}}"#, Quoted(text));
    Ok(lines.text(streamed, &text, message, MESSAGE_END))
}

/// `POST /api/generate`.
pub(super) fn generate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let prompt = ask.prompt.and_then(ask::texts).unwrap_or_default().concat();
    let text = answer::text(&prompt, &call.faults);
    let response = |text: &str| format!(r#""response":{}"#, Quoted(text));
    Ok(Lines::new(call, &model).text(ask.stream != Some(false), &text, response, r#""response":"""#))
}

/// `POST /api/embed`.
pub(super) fn embed(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let items = ask::items(ask.input.ok_or_else(|| Refusal::missing("input"))?);
    let vectors = items.iter().map(|item| Ok(embedding::as_list(&embedding::vector(item.get(), ask.dimensions)?)));
    let vectors = vectors.collect::<Result<Vec<String>, Refusal>>()?.join(",");
    let (model, count) = (Quoted(&model), answer::prompt_tokens(call.request.body));
    Ok(Reply::json(format!(
        r#"{{"model":{model},"embeddings":[{vectors}],"total_duration":2000000,"load_duration":1000000,"prompt_eval_count":{count}}}"#
    )))
}

/// `POST /api/embeddings`, the older form for one text.
pub(super) fn embeddings(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, _) = call.ask()?;
    let prompt = ask.prompt.ok_or_else(|| Refusal::missing("prompt"))?;
    let vector = embedding::as_list(&embedding::vector(prompt.get(), None)?);
    Ok(Reply::json(format!(r#"{{"embedding":{vector}}}"#)))
}

/// `GET /api/tags`: the models there are.
pub(super) fn tags(_: &Call<'_>) -> Reply {
    list(r#""modified_at":"2023-11-14T22:13:20Z","#)
}

/// `GET /api/ps`: the models that are loaded, which are all.
pub(super) fn running(_: &Call<'_>) -> Reply {
    list(r#""expires_at":"2318-11-14T22:13:20Z","size_vram":1000000000,"#)
}

/// `GET /api/version`.
pub(super) fn version(_: &Call<'_>) -> Reply {
    Reply::json(r#"{"version":"0.0.0-mock"}"#.to_owned())
}

/// `POST /api/show`.
pub(super) fn show(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (_, model) = call.ask()?;
    let modelfile = format!("FROM {model}");
    let modelfile = Quoted(&modelfile);
    Ok(Reply::json(format!(
        r#"{{"modelfile":{modelfile},"parameters":"temperature 0","template":"{{{{ .Prompt }}}}","details":{DETAILS},"model_info":{{"general.architecture":"mock","general.parameter_count":1000000000,"mock.context_length":8192,"mock.embedding_length":16}},"capabilities":["completion","tools"],"modified_at":"{CREATED_AT}"}}"#
    )))
}

fn list(times: &str) -> Reply {
    let models = MODELS.map(|name| {
        let digest = blake3::hash(name.as_bytes()).to_hex();
        format!(
            r#"{{"name":"{name}:latest","model":"{name}:latest",{times}"size":1000000000,"digest":"{digest}","details":{DETAILS}}}"#
        )
    });
    Reply::json(format!(r#"{{"models":[{}]}}"#, models.join(",")))
}

/// What stands in the last line of a chat's stream in place of more text.
const MESSAGE_END: &str = r#""message":{"role":"assistant","content":""}"#;

// === impl Lines ===

impl<'a> Lines<'a> {
    fn new(call: &'a Call<'a>, model: &str) -> Self {
        let model = Quoted(model);
        Self { begin: format!(r#""model":{model},"created_at":"{CREATED_AT}""#), call }
    }

    /// A text, whole or word by word, as `write` puts it.
    fn text(&self, streamed: bool, text: &str, write: impl Fn(&str) -> String, end: &str) -> Reply {
        let parts: Vec<String> = if streamed { answer::words(text).map(&write).collect() } else { Vec::new() };
        self.reply(streamed, &parts, &write(text), end, answer::tokens(text))
    }

    /// The answer in lines of `parts` and an `end`, or `whole`. Calling a tool is a plain stop here too.
    fn reply(&self, streamed: bool, parts: &[String], whole: &str, end: &str, count: usize) -> Reply {
        let (begin, prompt) = (&self.begin, answer::prompt_tokens(self.call.request.body));
        let done = format!(
            r#""done":true,"done_reason":"stop",{DURATIONS},"prompt_eval_count":{prompt},"eval_count":{count}"#
        );
        if !streamed {
            return Reply::json(format!("{{{begin},{whole},{done}}}"));
        }
        let mut stream = Stream::new(Dialect::Ollama, &self.call.faults);
        for part in parts {
            stream.event("", format_args!(r#"{{{begin},{part},"done":false}}"#));
        }
        stream.finish("", format_args!("{{{begin},{end},{done}}}"));
        Reply::events(stream)
    }
}
