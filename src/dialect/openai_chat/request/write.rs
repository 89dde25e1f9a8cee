//! Writing a chat request from the model.

use serde_json::{Map, Value};

use super::{settings, tools, write_message};
use crate::dialect::Dialect;
use crate::dialect::chat::Chat;
use crate::dialect::codec::Outgoing;
use crate::dialect::habits::Habits;
use crate::dialect::loss::Losses;

/// Writes a request for an upstream of these habits.
pub(in super::super) fn write(chat: &Chat, habits: Habits, losses: &mut Losses) -> Outgoing {
    let mut body = Map::new();
    if !chat.model.is_empty() {
        body.insert("model".to_owned(), chat.model.clone().into());
    }
    body.insert("messages".to_owned(), write_message::messages(chat, habits, losses).into());
    settings::stream(&mut body, chat, habits.stream_options, losses);
    let limit = if habits.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    settings::sampling(&mut body, chat, limit, losses);
    settings::thinking(&mut body, chat, losses);
    settings::format(&mut body, chat, habits, losses);
    tools::write(&mut body, chat, habits, losses);
    body.extend(chat.user.clone().map(|user| ("user".to_owned(), Value::String(user))));
    settings::extra(&mut body, chat, Dialect::OpenAiChat, losses);
    Outgoing { target: "/v1/chat/completions".to_owned(), body: Value::Object(body) }
}
