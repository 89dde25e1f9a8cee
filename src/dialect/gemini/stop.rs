//! Why a candidate ended, in Gemini's words and numbers (`FinishReason` of the Gemini API and of Vertex AI).

use serde_json::Value;

use crate::dialect::event::Stop;

/// Reads a `finishReason`. Gemini says `STOP` also when it calls tools. The second value is the word, where the stop
/// alone would not bring it back.
pub(super) fn read(reason: &Value, calls: bool) -> (Stop, Option<String>) {
    let word = match reason {
        Value::String(word) => word.clone(),
        other => numbered(other),
    };
    let stop = match word.as_str() {
        "STOP" if calls => Stop::Tool,
        "STOP" => Stop::End,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => Stop::Filter,
        _ => Stop::Other(word.clone()),
    };
    let kept = (write(&stop) != word).then_some(word);
    (stop, kept)
}

/// The word for a number, which `enum-encoding=int` asks for. From 6 on the Gemini API and Vertex AI disagree.
fn numbered(reason: &Value) -> String {
    let word = match reason.as_u64() {
        Some(0) => "FINISH_REASON_UNSPECIFIED",
        Some(1) => "STOP",
        Some(2) => "MAX_TOKENS",
        Some(3) => "SAFETY",
        Some(4) => "RECITATION",
        Some(5) => "OTHER",
        _ => return reason.to_string(),
    };
    word.to_owned()
}

/// The word for a stop. Words of other dialects are none of Gemini's enumeration.
pub(super) fn write(stop: &Stop) -> &str {
    match stop {
        Stop::End | Stop::Tool | Stop::Sequence(_) | Stop::Pause => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Filter | Stop::Refusal => "SAFETY",
        Stop::Other(word) if word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') => word,
        Stop::Other(_) => "OTHER",
    }
}

/// Whether the word for a stop says less than the stop, and why.
pub(super) fn approximated(stop: &Stop) -> Option<&'static str> {
    match stop {
        Stop::Sequence(Some(_)) => Some("Gemini does not say which text stopped it"),
        Stop::Pause => Some("Gemini does not pause"),
        Stop::Refusal => Some("Gemini has no refusals: SAFETY stands for it"),
        Stop::Other(word) if write(stop) != word => Some("Gemini does not know the reason: OTHER stands for it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_words_mean_the_same() {
        for (number, word, stop) in
            [(1, "STOP", Stop::End), (2, "MAX_TOKENS", Stop::Length), (3, "SAFETY", Stop::Filter)]
        {
            assert_eq!(read(&json!(number), false), (stop.clone(), None));
            assert_eq!(read(&json!(word), false), (stop, None));
        }
        assert_eq!(read(&json!(17), false).0, Stop::Other("17".to_owned()));
    }

    #[test]
    fn a_plain_stop_after_calls_is_a_stop_for_tools() {
        assert_eq!(read(&json!("STOP"), true), (Stop::Tool, None));
        assert_eq!(read(&json!("MAX_TOKENS"), true).0, Stop::Length);
    }

    #[test]
    fn a_word_that_its_stop_does_not_bring_back_is_kept() {
        assert_eq!(read(&json!("RECITATION"), false), (Stop::Filter, Some("RECITATION".to_owned())));
        assert_eq!(read(&json!("MALFORMED_FUNCTION_CALL"), false).1, None);
    }
}
