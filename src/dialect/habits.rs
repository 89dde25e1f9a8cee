//! Habits: where the many servers that speak `OpenAI`'s chat dialect differ in what they accept.

/// What a server that speaks `OpenAI`'s chat dialect accepts in a request, as far as servers differ. What it refuses is
/// left out, with a loss, so that the rest of the request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about a server")]
pub struct Habits {
    /// It takes Anthropic's `cache_control` on parts and tools (`OpenRouter`).
    pub cache_control: bool,
    /// The field of assistant messages in which it takes thoughts of earlier turns: `reasoning_content` (`DeepSeek`'s
    /// thinking models), `reasoning`. [`None`] where it takes none. Also decides whether seals in `reasoning_details`
    /// may go back: only a server that takes thoughts reads them.
    pub reasoning_input: Option<&'static str>,
    /// The limit of tokens is named `max_completion_tokens`, as `OpenAI`'s reasoning models demand, and not
    /// `max_tokens`.
    pub max_completion_tokens: bool,
    /// It knows the role `developer`. Where not, such messages are of the role `system`.
    pub developer_role: bool,
    /// It takes `stream_options`, by which a stream is asked to end with its usage.
    pub stream_options: bool,
    /// It takes `response_format` of the type `json_schema`. Where not, the type is `json_object`.
    pub json_schema: bool,
    /// It takes the `tool_choice` `required`, and those that name a tool. Where not, it is `auto`.
    pub tool_choice_required: bool,
    /// It takes `parallel_tool_calls`.
    pub parallel_tool_calls: bool,
    /// It takes `strict` in the definition of a function.
    pub strict: bool,
}

// === impl Habits ===

impl Habits {
    /// `OpenAI`'s own, by its API reference (Create chat completion).
    pub const OPENAI: Self = Self {
        cache_control: false,
        reasoning_input: None,
        max_completion_tokens: true,
        developer_role: true,
        stream_options: true,
        json_schema: true,
        tool_choice_required: true,
        parallel_tool_calls: true,
        strict: true,
    };
}

impl Default for Habits {
    fn default() -> Self {
        Self::OPENAI
    }
}
