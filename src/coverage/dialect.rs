//! What clients of each dialect ask, and what an upstream of it answers: the shortest texts that are whole.

/// A dialect's texts.
pub(super) struct Tongue {
    /// Its name, as policies know it.
    pub(super) name: &'static str,
    /// The path of a request for a whole answer.
    pub(super) target: &'static str,
    /// The path of a request for a stream.
    pub(super) stream_target: &'static str,
    /// A request for a whole answer.
    pub(super) ask: &'static str,
    /// One for a stream.
    pub(super) stream_ask: &'static str,
    /// The media type of a whole answer.
    pub(super) kind: &'static str,
    /// A whole answer.
    pub(super) answer: &'static str,
    /// The media type of a stream.
    pub(super) stream_kind: &'static str,
    /// A stream: up to where it says something, and the rest.
    pub(super) stream: (&'static str, &'static str),
}

/// The name of HTTP services that speak none of the dialects.
const OTHER: &str = "other";

const JSON: &str = "application/json";

const SSE: &str = "text/event-stream";

const NDJSON: &str = "application/x-ndjson";

/// All dialects that carry chats, and one that is none.
pub(super) const ALL: [Tongue; 8] = [
    Tongue {
        name: "openai.chat",
        target: "/v1/chat/completions",
        stream_target: "/v1/chat/completions",
        ask: r#"{"model":"m","messages":[{"role":"user","content":"Tide?"}]}"#,
        stream_ask: r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Tide?"}]}"#,
        kind: JSON,
        answer: r#"{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"At six."},"finish_reason":"stop"}]}"#,
        stream_kind: SSE,
        stream: (
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"At\"}}]}\n\n",
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" six.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n",
        ),
    },
    Tongue {
        name: "openai.completions",
        target: "/v1/completions",
        stream_target: "/v1/completions",
        ask: r#"{"model":"m","prompt":"Tide?"}"#,
        stream_ask: r#"{"model":"m","stream":true,"prompt":"Tide?"}"#,
        kind: JSON,
        answer: r#"{"id":"c1","object":"text_completion","model":"m","choices":[{"index":0,"text":"At six.","finish_reason":"stop"}]}"#,
        stream_kind: SSE,
        stream: (
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"text\":\"At\",\"finish_reason\":null}]}\n\n",
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"text\":\" six.\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n",
        ),
    },
    Tongue {
        name: "openai.responses",
        target: "/v1/responses",
        stream_target: "/v1/responses",
        ask: r#"{"model":"m","input":"Tide?"}"#,
        stream_ask: r#"{"model":"m","stream":true,"input":"Tide?"}"#,
        kind: JSON,
        answer: r#"{"id":"r1","object":"response","status":"completed","model":"m","output":[{"type":"message","id":"m1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"At six.","annotations":[]}]}]}"#,
        stream_kind: SSE,
        stream: (
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r1\",\"status\":\"in_progress\",\"output\":[]}}\n\n\
             event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"m1\",\"output_index\":0,\"content_index\":0,\"delta\":\"At six.\"}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r1\",\"status\":\"completed\",\"output\":[]}}\n",
        ),
    },
    Tongue {
        name: "anthropic.messages",
        target: "/v1/messages",
        stream_target: "/v1/messages",
        ask: r#"{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"Tide?"}]}"#,
        stream_ask: r#"{"model":"m","max_tokens":16,"stream":true,"messages":[{"role":"user","content":"Tide?"}]}"#,
        kind: JSON,
        answer: r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"At six."}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":3}}"#,
        stream_kind: SSE,
        stream: (
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
             event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
             event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"At six.\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
             event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n\
             event: message_stop\ndata: {\"type\":\"message_stop\"}\n",
        ),
    },
    Tongue {
        name: "ollama.chat",
        target: "/api/chat",
        stream_target: "/api/chat",
        ask: r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"Tide?"}]}"#,
        stream_ask: r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Tide?"}]}"#,
        kind: JSON,
        answer: r#"{"model":"m","message":{"role":"assistant","content":"At six."},"done":true,"done_reason":"stop"}"#,
        stream_kind: NDJSON,
        stream: (
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"At six.\"},\"done\":false}\n",
            "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n",
        ),
    },
    Tongue {
        name: "ollama.generate",
        target: "/api/generate",
        stream_target: "/api/generate",
        ask: r#"{"model":"m","stream":false,"prompt":"Tide?"}"#,
        stream_ask: r#"{"model":"m","stream":true,"prompt":"Tide?"}"#,
        kind: JSON,
        answer: r#"{"model":"m","response":"At six.","done":true,"done_reason":"stop"}"#,
        stream_kind: NDJSON,
        stream: (
            "{\"model\":\"m\",\"response\":\"At six.\",\"done\":false}\n",
            "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\"}\n",
        ),
    },
    Tongue {
        name: "gemini",
        target: "/v1beta/models/m:generateContent",
        stream_target: "/v1beta/models/m:streamGenerateContent?alt=sse",
        ask: r#"{"contents":[{"role":"user","parts":[{"text":"Tide?"}]}]}"#,
        stream_ask: r#"{"contents":[{"role":"user","parts":[{"text":"Tide?"}]}]}"#,
        kind: JSON,
        answer: r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"At six."}]},"finishReason":"STOP"}]}"#,
        stream_kind: SSE,
        stream: (
            "data: {\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"At\"}]}}]}\n\n",
            "data: {\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\" six.\"}]},\"finishReason\":\"STOP\"}]}\n",
        ),
    },
    Tongue {
        name: OTHER,
        target: "/tide",
        stream_target: "/tide",
        ask: r#"{"port":"Bergen"}"#,
        stream_ask: r#"{"port":"Bergen","every":"hour"}"#,
        kind: JSON,
        answer: r#"{"tide":"At six."}"#,
        stream_kind: SSE,
        stream: ("data: At\n\n", "data: six.\n"),
    },
];

// === impl Tongue ===

impl Tongue {
    /// Whether it is that of HTTP services which speak none of the dialects.
    pub(super) fn is_other(&self) -> bool {
        self.name == OTHER
    }
}
