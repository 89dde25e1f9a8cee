//! What the upstream says, in OpenAI's chat and in Anthropic's dialect: one whole answer, or the pieces of a stream.

use crate::translation::{PIECE, SAID};

/// One event of a chat stream.
const CHAT_EVENT: &str = "data: {\"id\":\"chat-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\
    \"model-x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tide\"},\"finish_reason\":null}]}\n\n";
const CHAT_END: &str = "data: [DONE]\n\n";
/// The whole answer of a chat, about 300 bytes.
const CHAT_ANSWER: &str = "{\"id\":\"chat-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"model-x\",\
    \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"The tide comes in and the tide goes out, \
    and the gate stands.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":64,\"completion_tokens\":16,\
    \"total_tokens\":80}}";

/// What an upstream says in one dialect.
pub(crate) struct Voice {
    /// The head of whole answers, up to the value of its last field: the client that the upstream was told of.
    pub whole: String,
    /// The same of streams.
    pub stream: String,
    /// The whole answer, about 300 bytes.
    pub answer: String,
    /// What a stream begins with. This and the next are chunks.
    pub begin: Vec<u8>,
    /// One event that says something.
    pub event: Vec<u8>,
    /// What a stream ends with, the last chunk included.
    pub end: Vec<u8>,
}

// === impl Voice ===

impl Voice {
    /// The voice of the upstream `name` for clients of `OpenAI`'s chat.
    pub(crate) fn chat(name: &str) -> Self {
        Self::new(name, CHAT_ANSWER.to_owned(), Vec::new(), chunk(CHAT_EVENT), chunk(CHAT_END))
    }

    /// The same in Anthropic's shape (Messages API, its documented answer and stream events).
    pub(crate) fn anthropic(name: &str) -> Self {
        let message = |content: &str, stop: &str, output: u32| {
            format!(
                "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"model-x\",\"content\":[{content}],\
                 \"stop_reason\":{stop},\"stop_sequence\":null,\"usage\":{{\"input_tokens\":64,\"output_tokens\":{output}}}}}"
            )
        };
        let start = format!("{{\"type\":\"message_start\",\"message\":{}}}", message("", "null", 1));
        let delta = format!(
            "{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{PIECE}\"}}}}"
        );
        let begin = [
            event("message_start", &start),
            event(
                "content_block_start",
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ),
        ];
        let end = [
            event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
            event(
                "message_delta",
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":16}}"#,
            ),
            event("message_stop", r#"{"type":"message_stop"}"#),
        ];
        let answer = message(&format!("{{\"type\":\"text\",\"text\":\"{SAID}\"}}"), "\"end_turn\"", 16);
        Self::new(name, answer, begin.concat(), event("content_block_delta", &delta), end.concat())
    }

    fn new(name: &str, answer: String, begin: Vec<u8>, event: Vec<u8>, end: Vec<u8>) -> Self {
        let head = |framing: &str, media: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\n{framing}\r\nX-Served-By: {name}\r\nX-Seen-Client: ")
        };
        Self {
            whole: head(&format!("Content-Length: {}", answer.len()), "application/json"),
            stream: head("Transfer-Encoding: chunked", "text/event-stream"),
            answer,
            begin,
            event,
            end: [end, chunk("")].concat(),
        }
    }
}

/// One of Anthropic's events, which have names, as a chunk.
fn event(name: &str, data: &str) -> Vec<u8> {
    chunk(&format!("event: {name}\ndata: {data}\n\n"))
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}
