//! What an event means to the gate: whether it commits an answer, ends it, or says that it failed. One pass over the
//! JSON without building it, for the streams of OpenAI, Anthropic, Ollama, Gemini, Cohere and those that speak like them.

use super::Event;

mod walk;

/// The one thing an event means most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing that commits to an answer: a comment, a ping, usage, a first chunk with a role and no text.
    Nothing,
    /// A part of the answer, or something the gate does not know.
    Content,
    /// The answer is whole. More events may follow, such as usage and `[DONE]`.
    Terminal,
    /// The upstream failed after its status was sent.
    Error,
}

/// Everything an event means: the last chunk of some streams is content and end in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent answers about one event, not a state")]
pub struct Sight {
    /// It holds a part of the answer, reasoning and white space included.
    pub content: bool,
    /// It holds something to show or to do: text that is not blank, a tool call.
    pub visible: bool,
    /// It says that the answer is whole.
    pub terminal: bool,
    /// It says that the answer failed.
    pub error: bool,
}

/// What the event's type, from its JSON or its name, says by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// Nothing: look into the payload.
    #[default]
    Open,
    /// It opens the stream or keeps it warm.
    Silent,
    /// It is part of the answer but shows nothing.
    Hidden,
    /// It ends the stream.
    Last,
    /// It says that the stream failed.
    Failed,
}

/// What was found in a payload.
#[derive(Debug, Default)]
struct Found {
    /// The type it states, if any.
    kind: Option<Kind>,
    /// Whether a place was seen where an answer could stand.
    known: bool,
    /// What was seen there, finish reasons and errors included.
    seen: Sight,
}

/// The one thing an event means most: an error, else an end, else content.
pub fn meaning(event: &Event) -> Meaning {
    look(event).meaning()
}

/// Everything an event means.
pub fn look(event: &Event) -> Sight {
    let named = event.name().map_or(Kind::Open, Kind::of);
    if event.has_stray_error() || named == Kind::Failed {
        return Sight::ERROR;
    }
    let data = event.data().trim_ascii();
    if data.is_empty() {
        return Sight::default();
    }
    if data == b"[DONE]" {
        return Sight::END;
    }
    let mut found = Found::default();
    if walk::through(data, &mut found).is_err() {
        found.known = false;
    }
    found.sight(named)
}

// === impl Sight ===

impl Sight {
    /// An end and nothing else.
    const END: Self = Self { content: false, visible: false, terminal: true, error: false };

    /// An error and nothing else.
    const ERROR: Self = Self { content: false, visible: false, terminal: false, error: true };

    /// Adds what another event means: what a stream has said so far.
    pub fn add(&mut self, other: Self) {
        self.content |= other.content;
        self.visible |= other.visible;
        self.terminal |= other.terminal;
        self.error |= other.error;
    }

    /// The one thing it means most.
    pub fn meaning(self) -> Meaning {
        if self.error {
            Meaning::Error
        } else if self.terminal {
            Meaning::Terminal
        } else if self.content {
            Meaning::Content
        } else {
            Meaning::Nothing
        }
    }
}

// === impl Kind ===

impl Kind {
    /// What a type, or an event's name, says.
    fn of(name: &str) -> Self {
        match name {
            "ping"
            | "keepalive"
            | "message_start"
            | "message-start"
            | "stream-start"
            | "response.created"
            | "response.in_progress"
            | "response.queued" => Self::Silent,
            // It carries Anthropic's stop reason, but `message_stop` always follows it.
            "message_delta" => Self::Hidden,
            "message_stop"
            | "message-end"
            | "stream-end"
            | "response.completed"
            | "response.incomplete"
            | "response.done" => Self::Last,
            "error" | "response.failed" => Self::Failed,
            _ if name.starts_with("response.reasoning") => Self::Hidden,
            _ => Self::Open,
        }
    }
}

// === impl Found ===

impl Found {
    /// What it means, given what the event's name says.
    fn sight(&self, named: Kind) -> Sight {
        let kind = self.kind.unwrap_or(named);
        if self.seen.error || kind == Kind::Failed {
            return Sight::ERROR;
        }
        match kind {
            Kind::Silent => Sight::default(),
            Kind::Hidden => Sight { content: true, ..Sight::default() },
            Kind::Last => Sight::END,
            Kind::Open | Kind::Failed => Sight {
                content: self.seen.content || !self.known,
                visible: self.seen.visible || !self.known,
                ..self.seen
            },
        }
    }
}
