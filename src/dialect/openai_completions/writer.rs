//! Writing completions, whole and as streams: the text of an answer and nothing else.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::loss::Losses;
use crate::dialect::openai_chat::head::Head;
use crate::dialect::openai_chat::{stop, usage};
use crate::stream::{self, Wire};

/// The writer of a stream of completions.
#[derive(Debug)]
pub(super) struct CompletionsWriter {
    /// What the answer needs that its events do not say.
    stamp: Stamp,
    /// Whether the client asked for the usage at the end.
    usage_asked: bool,
    /// What each chunk begins with; absent before the start.
    head: Option<Map<String, Value>>,
    /// Whether the events were read from `OpenAI`'s chat or completions.
    own: bool,
    /// The choices that were begun, and whether they ended.
    choices: Vec<(u32, bool)>,
    /// The last usage.
    usage: Option<Usage>,
    /// Whether the end was written.
    done: bool,
}

// === impl CompletionsWriter ===

impl CompletionsWriter {
    pub(super) fn new(stamp: Stamp) -> Self {
        let chat = &stamp.chat;
        Self {
            usage_asked: chat.origin != Some(Dialect::OpenAiCompletions) || chat.stream_usage,
            stamp,
            head: None,
            own: false,
            choices: Vec::new(),
            usage: None,
            done: false,
        }
    }

    /// The head of every chunk, made from this start if there is none yet.
    fn head(&mut self, start: Start) -> Map<String, Value> {
        if let Some(head) = &self.head {
            return head.clone();
        }
        let head = Head::new(start, "cmpl-", &mut self.stamp);
        self.own = head.own;
        self.head.insert(top(head)).clone()
    }

    fn chunk(&mut self, choice: &Value) -> stream::Event {
        let mut chunk = self.head(Start::default());
        chunk.insert("choices".to_owned(), json!([choice]));
        if self.usage_asked {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        event(&chunk.into())
    }

    fn text(&mut self, index: u32, text: &str, losses: &mut Losses) -> Option<stream::Event> {
        let at = self.at(index);
        if self.choices[at].1 {
            losses.dropped("content", "it came after the end of the answer");
            return None;
        }
        Some(self.chunk(&json!({"text": text, "index": index, "logprobs": null, "finish_reason": null})))
    }

    fn at(&mut self, index: u32) -> usize {
        self.choices.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
            self.choices.push((index, false));
            self.choices.len() - 1
        })
    }

    fn stop(&mut self, index: u32, stop: &Stop, losses: &mut Losses) -> Option<stream::Event> {
        let at = self.at(index);
        if std::mem::replace(&mut self.choices[at].1, true) {
            return None;
        }
        let reason = reason(stop, self.own, losses);
        Some(self.chunk(&json!({"text": "", "index": index, "logprobs": null, "finish_reason": reason})))
    }

    fn end(&mut self, losses: &mut Losses, out: &mut Vec<stream::Event>) {
        self.at(0);
        for (index, _) in self.choices.clone() {
            out.extend(self.stop(index, &Stop::End, losses));
        }
        if let Some(usage) = self.usage.take().filter(|_| self.usage_asked) {
            let mut chunk = self.head(Start::default());
            chunk.insert("choices".to_owned(), json!([]));
            chunk.insert("usage".to_owned(), usage::write(&usage));
            out.push(event(&chunk.into()));
        }
        self.close(out);
    }

    fn close(&mut self, out: &mut Vec<stream::Event>) {
        self.done = true;
        out.push(stream::Event::new(Wire::Sse, None, Bytes::from_static(b"[DONE]")));
    }

    fn raw(&mut self, mut raw: Value, losses: &mut Losses) -> stream::Event {
        let mut chunk = self.head(Start::default());
        let choices = raw.get_mut("choices").and_then(Value::as_array_mut);
        for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(delta) = choice.shift_remove("delta") {
                lost_fields(&delta, losses);
            }
            choice.insert("text".to_owned(), "".into());
            choice.insert("finish_reason".to_owned(), Value::Null);
        }
        chunk.insert("choices".to_owned(), json!([]));
        if let Value::Object(raw) = raw {
            chunk.extend(raw);
        }
        event(&chunk.into())
    }
}

impl Writer for CompletionsWriter {
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event> {
        let mut out = Vec::new();
        if self.done {
            return out;
        }
        let Some(event) = event.known_to(Dialect::OpenAiCompletions, losses) else { return out };
        let index = event.choice;
        match event.kind {
            EventKind::Start(start) => drop(self.head(start)),
            EventKind::Text { text, .. } => out.extend(self.text(index, &text, losses)),
            EventKind::Refusal { block, text } => {
                spoken_refusal(block, losses);
                out.extend(self.text(index, &text, losses));
            }
            EventKind::Usage(usage) => self.usage = Some(usage),
            EventKind::Stop(stop) => out.extend(self.stop(index, &stop, losses)),
            EventKind::Failed(failure) => {
                out.push(self::event(&error::within(Dialect::OpenAiCompletions, &failure)));
                self.close(&mut out);
            }
            EventKind::End => self.end(losses, &mut out),
            EventKind::Raw { value, .. } => out.push(self.raw(value, losses)),
            other => lost(&other, losses),
        }
        out
    }
}

/// Writes a whole answer; an error's body if it failed.
pub(super) fn whole(events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
    let mut start = Start::default();
    let mut choices: Vec<Map<String, Value>> = Vec::new();
    let (mut usage, mut late) = (None, Map::new());
    let mut stops = Vec::new();
    for event in events {
        let Some(Event { choice, kind }) = event.known_to(Dialect::OpenAiCompletions, losses) else { continue };
        match kind {
            EventKind::Start(begun) => start = begun,
            EventKind::Text { text, .. } => say(of(&mut choices, choice), &text),
            EventKind::Refusal { block, text } => {
                spoken_refusal(block, losses);
                say(of(&mut choices, choice), &text);
            }
            EventKind::Usage(used) => usage = Some(used),
            EventKind::Stop(stop) => stops.push((choice, stop)),
            EventKind::Failed(failure) => return error::within(Dialect::OpenAiCompletions, &failure),
            EventKind::Raw { value: Value::Object(raw), .. } => merge(raw, &mut choices, &mut late, losses),
            other => lost(&other, losses),
        }
    }
    let head = Head::new(start, "cmpl-", &mut stamp.clone());
    let own = head.own;
    of(&mut choices, 0);
    for (index, stop) in stops {
        of(&mut choices, index).insert("finish_reason".to_owned(), reason(&stop, own, losses).into());
    }
    choices.sort_by_key(|choice| choice.get("index").and_then(Value::as_u64));
    let mut body = top(head);
    body.insert("choices".to_owned(), choices.into());
    body.extend(usage.map(|used| ("usage".to_owned(), usage::write(&used))));
    body.extend(late);
    body.into()
}

/// The choice of an index, begun if need be.
fn of(choices: &mut Vec<Map<String, Value>>, index: u32) -> &mut Map<String, Value> {
    let at = choices.iter().position(|choice| choice.get("index").is_some_and(|known| *known == index));
    let at = at.unwrap_or_else(|| {
        choices.push(Map::from_iter([
            ("text".to_owned(), "".into()),
            ("index".to_owned(), index.into()),
            ("logprobs".to_owned(), Value::Null),
            ("finish_reason".to_owned(), "stop".into()),
        ]));
        choices.len() - 1
    });
    &mut choices[at]
}

fn say(choice: &mut Map<String, Value>, piece: &str) {
    if let Some(Value::String(text)) = choice.get_mut("text") {
        text.push_str(piece);
    }
}

/// Puts in what only this dialect knows.
fn merge(
    mut raw: Map<String, Value>,
    choices: &mut Vec<Map<String, Value>>,
    late: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    if let Some(Value::Array(more)) = raw.shift_remove("choices") {
        for fields in more {
            let Value::Object(mut fields) = fields else { continue };
            let index = fields.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok());
            if let Some(delta) = fields.shift_remove("delta") {
                lost_fields(&delta, losses);
            }
            // Some servers say the text of a chat twice, so that it does for completions too.
            fields.shift_remove("text");
            of(choices, index.unwrap_or(0)).extend(fields);
        }
    }
    late.extend(raw);
}

fn top(head: Head) -> Map<String, Value> {
    let mut map = Map::from_iter([
        ("id".to_owned(), Value::from(head.id)),
        ("object".to_owned(), "text_completion".into()),
        ("created".to_owned(), head.created.into()),
        ("model".to_owned(), head.model.into()),
    ]);
    map.extend(head.extra);
    map
}

/// The finish reason; completions know `stop`, `length` and `content_filter`.
fn reason(stop: &Stop, own: bool, losses: &mut Losses) -> String {
    let (reason, near) = stop::write(stop, true, own);
    let near = near.or((reason == "tool_calls").then_some("completions call no tools"));
    if let Some(why) = near {
        losses.approximated("stop_reason", why);
    }
    if reason == "tool_calls" { "stop".to_owned() } else { reason.to_owned() }
}

/// Reports what a completion has no room for.
fn lost(kind: &EventKind, losses: &mut Losses) {
    match kind {
        EventKind::Reasoning { block, .. } | EventKind::ToolStart { block, .. } => {
            losses.dropped(format!("content[{block}]"), "a completion is text only");
        }
        EventKind::Seal { block, .. } => {
            losses.dropped(format!("content[{block}].signature"), "a completion is text only");
        }
        EventKind::Citation { block, .. } => {
            losses.dropped(format!("content[{block}].citations"), "a completion is text only");
        }
        EventKind::Logprobs(_) => losses.dropped("logprobs", "completions have another shape of them"),
        _ => {}
    }
}

fn lost_fields(delta: &Value, losses: &mut Losses) {
    for name in delta.as_object().into_iter().flat_map(Map::keys) {
        losses.dropped(format!("message.{name}"), "a completion is text only");
    }
}

fn spoken_refusal(block: u32, losses: &mut Losses) {
    losses.approximated(format!("content[{block}]"), "a refusal became text");
}

fn event(data: &Value) -> stream::Event {
    stream::Event::new(Wire::Sse, None, Bytes::from(data.to_string()))
}
