//! What every answer of `OpenAI`'s chat and completions begins with: id, time, model and what else the start said.

use serde_json::{Map, Value};

use crate::dialect::codec::Stamp;
use crate::dialect::event::Start;
use crate::dialect::{Dialect, way};

/// The longest id that is passed on.
const MAX_ID_BYTES: usize = 200;

/// The head of an answer.
#[derive(Debug)]
pub(in crate::dialect) struct Head {
    /// The answer's id.
    pub(in crate::dialect) id: String,
    /// When, in seconds since 1970.
    pub(in crate::dialect) created: i64,
    /// The model that answers.
    pub(in crate::dialect) model: String,
    /// Further fields.
    pub(in crate::dialect) extra: Map<String, Value>,
    /// Whether the answer was read from this dialect, so that its extra fields are fields of this dialect too.
    pub(in crate::dialect) own: bool,
}

// === impl Head ===

impl Head {
    /// The head of an answer that began so, or did not say how it began.
    pub(in crate::dialect) fn new(start: Start, prefix: &str, stamp: &mut Stamp) -> Self {
        let Start { id, model, created, extra, from } = start;
        let own = from.is_some_and(|from| way::kin(from, Dialect::OpenAiChat));
        Self {
            id: id.filter(|id| usable(id)).unwrap_or_else(|| stamp.ids.next(prefix)),
            created: created.unwrap_or(stamp.created),
            model: model.filter(|model| !model.is_empty()).unwrap_or_else(|| stamp.model.clone()),
            extra,
            own,
        }
    }
}

/// Whether an upstream's id can stand as ours: it is what its logs know the answer by.
fn usable(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An annotation as `OpenAI` writes it, of a citation in its own shape or that of its Responses; `None` for others.
pub(super) fn annotation(value: Value, own: bool) -> Option<Value> {
    if own || value.get("url_citation").is_some_and(Value::is_object) {
        return Some(value);
    }
    let Value::Object(mut fields) = value else { return None };
    let url = fields.get("type").is_some_and(|kind| kind == "url_citation") && fields.contains_key("url");
    fields.shift_remove("type");
    url.then(|| serde_json::json!({"type": "url_citation", "url_citation": fields}))
}
