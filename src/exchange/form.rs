//! What of a chat's request says in which form it is to be answered, and what is left of its path without it: the same
//! question in two forms has one answer.

use std::borrow::Cow;

use crate::dialect::Dialect;
use crate::json::{Item, Limits};
use crate::message::Request;

/// What a request's body says of its answer.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The value of `stream`, when it is one.
    pub(super) stream: Option<bool>,
    /// The model.
    pub(super) model: Option<String>,
}

/// How chats' own paths end, the longest first.
const ENDS: [&str; 12] = [
    "/v1/chat/completions",
    "/chat/completions",
    "/v1/completions",
    "/completions",
    "/v1/responses",
    "/responses",
    "/v1/messages",
    "/messages",
    "/api/chat",
    "/api/generate",
    "/v1beta/models",
    "/models",
];

// === impl Asked ===

impl Asked {
    /// Reads the members of a body that is a JSON object.
    pub(super) fn of(request: &mut Request, limits: Limits) -> Self {
        if request.body.bytes().is_none_or(|bytes| bytes.is_empty()) {
            return Self::default();
        }
        let Ok(doc) = request.body.json(limits) else { return Self::default() };
        let Ok(Item::Object(root)) = doc.root() else { return Self::default() };
        let stream = match doc.get(root, "stream") {
            Ok(Some(Item::Bool(stream))) => Some(stream),
            _ => None,
        };
        let model = match doc.get(root, "model") {
            Ok(Some(Item::String(model))) => Some(model.into_owned()),
            _ => None,
        };
        Self { stream, model }
    }
}

/// A chat's path and query without what says in which form it is answered. In `any` dialect only what stands before the
/// dialect's own path is left, and the query.
pub(super) fn path(dialect: Dialect, target: &str, any: bool) -> Cow<'_, str> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_end_matches('/');
    let (path, query) = match dialect {
        Dialect::Gemini => {
            let whole = path.strip_suffix(":streamGenerateContent").or(path.strip_suffix(":generateContent"));
            let pairs = query.split('&').filter(|pair| !matches!(*pair, "" | "alt=sse" | "$alt=sse" | "%24alt=sse"));
            (whole.unwrap_or(path), pairs.collect::<Vec<_>>().join("&"))
        }
        _ if !any => return Cow::Borrowed(target),
        _ => (path, query.to_owned()),
    };
    let path = match (any, dialect) {
        (false, _) => path,
        (true, Dialect::Gemini) => before(path.rsplit_once("/models/").map_or(path, |_| models(path))),
        (true, _) => before(path),
    };
    let mark = if query.is_empty() { "" } else { "?" };
    Cow::Owned(format!("{path}{mark}{query}"))
}

/// The model that Gemini's path names.
pub(super) fn model(target: &str) -> Option<&str> {
    let path = target.split('?').next()?.trim_end_matches('/');
    let (_, last) = path.rsplit_once("/models/")?;
    last.rsplit_once(':').map(|(model, _)| model)
}

/// A path up to where its models are named.
fn models(path: &str) -> &str {
    path.rfind("/models/").and_then(|at| path.get(..at + "/models".len())).unwrap_or(path)
}

/// What stands before a dialect's own path.
fn before(path: &str) -> &str {
    ENDS.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_in_every_form() {
        let own = |target| path(Dialect::Gemini, target, false).into_owned();
        assert_eq!(own("/v1beta/models/g:generateContent"), own("/v1beta/models/g:streamGenerateContent?alt=sse"));
        assert_ne!(own("/v1beta/models/g:generateContent"), own("/v1beta/models/h:generateContent"));
        assert_eq!(path(Dialect::Anthropic, "/v1/messages?beta=true", false), "/v1/messages?beta=true");
    }

    #[test]
    fn in_any_dialect_only_what_comes_before_is_left_of_a_path() {
        let cases = [
            (Dialect::OpenAiChat, "/v1/chat/completions", ""),
            (Dialect::OpenAiChat, "/team/chat/completions?x=1", "/team?x=1"),
            (Dialect::OllamaChat, "/api/chat/", ""),
            (Dialect::Anthropic, "/v1/messages?beta=true", "?beta=true"),
            (Dialect::Gemini, "/v1beta/models/g:streamGenerateContent?alt=sse&key=k", "?key=k"),
            (Dialect::Gemini, "/team/v1beta/models/g:generateContent", "/team"),
        ];
        for (dialect, target, left) in cases {
            assert_eq!(path(dialect, target, true), left, "{target}");
        }
        assert_eq!(model("/v1beta/models/g-2:generateContent?x"), Some("g-2"));
    }
}
