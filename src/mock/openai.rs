//! The `OpenAI` dialect but for Responses: chat, completions, embeddings and models, and LM Studio's list of models.

use super::answer::{self, CREATED, MODELS};
use super::ask::{self, Ask, Said};
use super::embedding;
use super::quote::Quoted;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::stream::Stream;
use super::tool::ToolCall;

/// What all chunks of one stream have in common.
struct Chunks<'a> {
    /// Where they go.
    stream: Stream,
    /// The answer's id, the same in every chunk.
    id: &'a str,
    /// `chat.completion.chunk` or `text_completion`.
    object: &'static str,
    /// As the client wrote it.
    model: Quoted<'a>,
    /// Stands in every chunk when the client wants the usage: the last chunk tells it, those before say null.
    no_usage: &'static str,
}

/// `POST /v1/chat/completions`.
pub(super) fn chat(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let said = ask::said(ask.messages.as_deref().ok_or_else(|| Refusal::missing("messages"))?);
    let tool = ToolCall::wanted(&ask, &said);
    if ask.stream == Some(true) {
        return Ok(chat_stream(call, &ask, &model, &said, tool.as_ref()));
    }
    let id = &call.id;
    let model = Quoted(&model);
    let (message, finish, tokens) = if let Some(tool) = &tool {
        let (name, arguments) = (Quoted(&tool.name), Quoted(&tool.arguments));
        let message = format!(
            r#""content":null,"tool_calls":[{{"id":"call_{id}","type":"function","function":{{"name":{name},"arguments":{arguments}}}}}]"#
        );
        (message, "tool_calls", tool.fragments().count())
    } else {
        let text = answer::text(&said.text, &call.faults);
        (format!(r#""content":{}"#, Quoted(&text)), "stop", answer::tokens(&text))
    };
    let usage = usage(call, tokens);
    Ok(Reply::json(format!(
        r#"{{"id":"chatcmpl-{id}","object":"chat.completion","created":{CREATED},"model":{model},"choices":[{{"index":0,"message":{{"role":"assistant",{message},"refusal":null}},"logprobs":null,"finish_reason":"{finish}"}}],"usage":{usage},"system_fingerprint":"fp_mock"}}"#
    )))
}

fn chat_stream(call: &Call<'_>, ask: &Ask<'_>, model: &str, said: &Said, tool: Option<&ToolCall>) -> Reply {
    let id = format!("chatcmpl-{}", call.id);
    let mut chunks = Chunks::new(call, ask, &id, "chat.completion.chunk", model);
    let mut tokens = 0;
    let finish = if let Some(tool) = tool {
        let (id, name) = (&call.id, Quoted(&tool.name));
        chunks.delta(&format!(
            r#"{{"role":"assistant","content":null,"tool_calls":[{{"index":0,"id":"call_{id}","type":"function","function":{{"name":{name},"arguments":""}}}}],"refusal":null}}"#
        ));
        for fragment in tool.fragments() {
            let fragment = Quoted(fragment);
            chunks.delta(&format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{fragment}}}}}]}}"#));
            tokens += 1;
        }
        "tool_calls"
    } else {
        chunks.delta(r#"{"role":"assistant","content":"","refusal":null}"#);
        for word in answer::words(&answer::text(&said.text, &call.faults)) {
            chunks.delta(&format!(r#"{{"content":{}}}"#, Quoted(word)));
            tokens += 1;
        }
        "stop"
    };
    chunks.choice(&format!(r#"{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"{finish}"}}"#));
    chunks.end(ask, &usage(call, tokens))
}

/// `POST /v1/completions`: one choice for each prompt.
pub(super) fn completions(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let prompts = ask.prompt.and_then(ask::texts);
    let prompts = prompts.ok_or_else(|| Refusal::new(400, "`prompt` must be a text or a list of texts."))?;
    let texts: Vec<String> = prompts.iter().map(|prompt| answer::text(prompt, &call.faults)).collect();
    let usage = usage(call, texts.iter().map(|text| answer::tokens(text)).sum());
    let id = format!("cmpl-{}", call.id);
    let choice = |index: usize, text: &str, finish: &str| {
        let text = Quoted(text);
        format!(r#"{{"text":{text},"index":{index},"logprobs":null,"finish_reason":{finish}}}"#)
    };
    if ask.stream == Some(true) {
        let mut chunks = Chunks::new(call, &ask, &id, "text_completion", &model);
        for (index, text) in texts.iter().enumerate() {
            answer::words(text).for_each(|word| chunks.choice(&choice(index, word, "null")));
            chunks.choice(&choice(index, "", "\"stop\""));
        }
        return Ok(chunks.end(&ask, &usage));
    }
    let choices: Vec<String> = texts.iter().enumerate().map(|(index, text)| choice(index, text, "\"stop\"")).collect();
    let (model, choices) = (Quoted(&model), choices.join(","));
    Ok(Reply::json(format!(
        r#"{{"id":"{id}","object":"text_completion","created":{CREATED},"model":{model},"choices":[{choices}],"usage":{usage}}}"#
    )))
}

/// `POST /v1/embeddings`.
pub(super) fn embeddings(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let write = match ask.encoding_format.as_deref() {
        None | Some("float") => embedding::as_list,
        Some("base64") => embedding::as_base64,
        Some(_) => return Err(Refusal::new(400, "`encoding_format` must be float or base64.")),
    };
    let items = ask::items(ask.input.ok_or_else(|| Refusal::missing("input"))?);
    let data = items.iter().enumerate().map(|(index, item)| {
        let vector = write(&embedding::vector(item.get(), ask.dimensions)?);
        Ok(format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#))
    });
    let data = data.collect::<Result<Vec<String>, Refusal>>()?.join(",");
    let (model, tokens) = (Quoted(&model), answer::prompt_tokens(call.request.body));
    Ok(Reply::json(format!(
        r#"{{"object":"list","data":[{data}],"model":{model},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#
    )))
}

/// `GET /v1/models`.
pub(super) fn models(_: &Call<'_>) -> Reply {
    let list =
        MODELS.map(|id| format!(r#"{{"id":"{id}","object":"model","created":{CREATED},"owned_by":"tidegate-mock"}}"#));
    Reply::json(format!(r#"{{"object":"list","data":[{}]}}"#, list.join(",")))
}

/// `GET /api/v0/models`, as LM Studio lists them.
pub(super) fn lm_studio_models(_: &Call<'_>) -> Reply {
    let list = MODELS.map(|id| {
        let kind = if id == "mock-embed" { "embeddings" } else { "llm" };
        format!(
            r#"{{"id":"{id}","object":"model","type":"{kind}","publisher":"tidegate-mock","arch":"mock","compatibility_type":"gguf","quantization":"Q4_0","state":"loaded","max_context_length":8192,"loaded_context_length":8192}}"#
        )
    });
    Reply::json(format!(r#"{{"data":[{}],"object":"list"}}"#, list.join(",")))
}

fn usage(call: &Call<'_>, completion: usize) -> String {
    let prompt = answer::prompt_tokens(call.request.body);
    let total = prompt + completion;
    format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#)
}

// === impl Chunks ===

impl<'a> Chunks<'a> {
    fn new(call: &Call<'_>, ask: &Ask<'_>, id: &'a str, object: &'static str, model: &'a str) -> Self {
        let no_usage = if ask.includes_usage() { r#","usage":null"# } else { "" };
        Self { stream: Stream::new(Dialect::OpenAi, &call.faults), id, object, model: Quoted(model), no_usage }
    }

    /// A chunk with a change to the one message.
    fn delta(&mut self, delta: &str) {
        self.choice(&format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}"#));
    }

    fn choice(&mut self, choice: &str) {
        let no_usage = self.no_usage;
        self.chunk(choice, no_usage);
    }

    fn chunk(&mut self, choices: &str, usage: &str) {
        let Self { stream, id, object, model, .. } = self;
        stream.event(
            "",
            format_args!(
                r#"{{"id":"{id}","object":"{object}","created":{CREATED},"model":{model},"system_fingerprint":"fp_mock","choices":[{choices}]{usage}}}"#
            ),
        );
    }

    /// The chunk with the usage, when it was asked for, and the mark at the end.
    fn end(mut self, ask: &Ask<'_>, usage: &str) -> Reply {
        if ask.includes_usage() {
            self.chunk("", &format!(r#","usage":{usage}"#));
        }
        self.stream.finish("", format_args!("[DONE]"));
        Reply::events(self.stream)
    }
}
