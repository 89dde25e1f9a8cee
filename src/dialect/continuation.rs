//! Going on with an answer whose upstream died: what another upstream is asked, by what was said so far.
//!
//! A server that goes on from an assistant turn is handed the text as such a turn; any other is shown the text and told
//! to go on from there. Thoughts are handed to nobody: unsigned ones are refused by makers that sign theirs, and those of
//! one maker mean nothing to another. Of an answer with calls only what stands before the first is handed over: the
//! calls must be made again, and alike.

use serde_json::{Number, Value};

use super::Dialect;
use super::chat::{Chat, Message, Part, Role, ThinkingMode};
use super::codec::Outgoing;
use super::loss::Losses;
use super::transcript::Transcript;
use overlap::{Overlap, Repeats};
use recall::Recall;
pub use seam::Seam;

mod overlap;
mod recall;
mod seam;

#[cfg(test)]
mod tests;

/// What an upstream is told that does not go on from an assistant turn by itself.
const GO_ON: &str = "Your answer was cut off by a broken connection; all of it that arrived stands above. Go on from the \
     exact character at which it stops, in the middle of a word if need be. Write only what is still missing: repeat \
     nothing, do not begin anew, and do not mention the interruption.";

/// What an answer that goes on may cost at least, in tokens, however much of its limit was used.
const LEAST_TOKENS: u64 = 16;

/// Bytes of an answer that are about one token.
const BYTES_A_TOKEN: u64 = 4;

/// How a server is handed the beginning of an answer that it is to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handing {
    /// As an assistant turn, then a turn that tells it to go on.
    Request,
    /// As the last assistant turn, which it goes on from.
    LastTurn,
    /// The same with `"prefix": true` in that turn; its answer begins with what it was handed.
    Prefix,
    /// The same with `continue_final_message` and without `add_generation_prompt` beside the turns.
    FinalMessage,
    /// As the end of the prompt of a completion.
    Prompt,
}

/// What becomes of a tool call that was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CutTool {
    /// The upstream is asked again with what stood before the call; when it makes the same call, the client hears the
    /// rest of it.
    #[default]
    Complete,
    /// The answer ends with an error.
    Close,
}

/// Why nobody can go on with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bound(pub &'static str);

/// Puts what the client was sent into a request, and gives what joins its answer to it.
pub fn go_on(chat: &mut Chat, transcript: &Transcript, handing: Handing, losses: &mut Losses) -> Seam {
    let calls = transcript.calls();
    let said = if calls.is_empty() { transcript.text() } else { transcript.text_before_calls() };
    let words = said.trim_end();
    let prefills = handing != Handing::Request;
    let handed = if prefills { words } else { said.as_str() };
    if !words.is_empty() {
        hand(chat, handed, handing);
        limit(chat, said.len());
        unform(chat, losses);
    }
    chat.sampling.n = None;
    let blanks = if prefills || words.is_empty() { said.get(words.len()..).unwrap_or_default() } else { "" };
    let repeats = match handing {
        Handing::Request => Repeats::Tail,
        Handing::Prefix => Repeats::Given,
        Handing::LastTurn | Handing::FinalMessage | Handing::Prompt => Repeats::Whole,
    };
    let overlap = Overlap::new(said.clone(), blanks, repeats);
    let recalls = calls.into_iter().map(|call| Recall::new(call.block, call.name, &call.arguments, call.ended));
    Seam::new(transcript, overlap, recalls.collect(), transcript.spent().cloned().unwrap_or_default())
}

/// Whether anybody can go on with an answer to this request, of which the client was sent this.
pub fn may_go_on(chat: &Chat, transcript: &Transcript, rule: CutTool) -> Result<(), Bound> {
    if let Some(why) = transcript.bound() {
        return Err(Bound(why));
    }
    if chat.sampling.n.as_ref().and_then(Number::as_u64).is_some_and(|n| n > 1) {
        return Err(Bound("it is one of several answers"));
    }
    if rule == CutTool::Close && !transcript.calls().is_empty() {
        return Err(Bound("a tool call was begun"));
    }
    Ok(())
}

/// Hands the text over. A conversation that ends with words of the model, which the client gave, goes on in that turn.
fn hand(chat: &mut Chat, text: &str, handing: Handing) {
    let role = if handing == Handing::Prompt { Role::User } else { Role::Assistant };
    let last = chat.messages.last_mut().filter(|message| message.role == role);
    match last.and_then(|message| message.parts.last_mut()) {
        Some(Part::Text(last)) => last.text.push_str(text),
        _ => chat.messages.push(Message::new(role, vec![Part::plain(text)])),
    }
    if handing == Handing::Request {
        chat.messages.push(Message::new(Role::User, vec![Part::plain(GO_ON)]));
    }
}

/// Takes off the limit of tokens what was written, by estimate. A budget for thoughts must still fit.
fn limit(chat: &mut Chat, said: usize) {
    let Some(most) = chat.sampling.max_tokens.as_ref().and_then(Number::as_u64) else { return };
    let budget = chat.thinking.as_ref().and_then(|thinking| thinking.budget).unwrap_or(0);
    let left = most.saturating_sub(said as u64 / BYTES_A_TOKEN).max(LEAST_TOKENS);
    if left > budget && left < most {
        chat.sampling.max_tokens = Some(left.into());
    }
}

/// A form that a server enforces is enforced from the first character on: the rest of an answer has it by itself.
fn unform(chat: &mut Chat, losses: &mut Losses) {
    if chat.format.take().is_some() {
        losses.dropped("response_format", "the rest of an answer does not begin as the whole does");
    }
}

/// Marks a request as one that goes on from its last turn.
pub fn mark(outgoing: &mut Outgoing, handing: Handing) {
    let Value::Object(body) = &mut outgoing.body else { return };
    match handing {
        Handing::Prefix => {
            let last = body.get_mut("messages").and_then(Value::as_array_mut).and_then(|turns| turns.last_mut());
            if let Some(Value::Object(turn)) = last.filter(|turn| turn["role"] == "assistant") {
                turn.insert("prefix".to_owned(), Value::Bool(true));
            }
        }
        Handing::FinalMessage => {
            let last = body.get("messages").and_then(Value::as_array).and_then(|turns| turns.last());
            if last.is_some_and(|turn| turn["role"] == "assistant") {
                body.insert("add_generation_prompt".to_owned(), Value::Bool(false));
                body.insert("continue_final_message".to_owned(), Value::Bool(true));
            }
        }
        Handing::Request | Handing::LastTurn | Handing::Prompt => {}
    }
}

/// Whether a request asks for thoughts before the answer.
pub fn thinks(chat: &Chat) -> bool {
    chat.thinking.as_ref().is_some_and(|thinking| thinking.mode != ThinkingMode::Off)
}

/// What joins the dialect's own bytes to an answer of which only the last word is missing.
pub fn last_words(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions => b"data: [DONE]\n\n",
        Dialect::Anthropic => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        _ => b"",
    }
}
