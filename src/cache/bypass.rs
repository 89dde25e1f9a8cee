//! What a client says about the cache for one request: do not answer from it, or do not keep the answer.

/// What the cache may do for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// Whether a stored answer may serve.
    pub read: bool,
    /// Whether the answer may be stored.
    pub write: bool,
}

/// Reads the client's wishes.
///
/// `header` gives a request header's value. `Cache-Control: no-cache` (RFC 9111 §5.2.1.4) and `max-age=0` ask for a
/// fresh answer, which may be stored; `no-store` (§5.2.1.5) asks that the answer is not stored.
///
/// `is_true` says whether the literal `true` stands at a path in the JSON body; a request without one always says
/// false. The object form that LLM proxies share, `"cache": {"no-cache": true}`, at the top or in `extra_body`, keeps
/// the request out of the cache both ways, and `"no-store"` only keeps its answer out. Other forms mean nothing.
pub fn bypass<'h>(header: impl Fn(&str) -> Option<&'h str>, mut is_true: impl FnMut(&[&str]) -> bool) -> Bypass {
    let control = header("cache-control").unwrap_or_default();
    let says = |word: &str| directives(control).any(|directive| directive.eq_ignore_ascii_case(word));
    let mut flag = |name: &str| is_true(&["cache", name]) || is_true(&["extra_body", "cache", name]);
    let apart = flag("no-cache");
    Bypass {
        read: !(apart || says("no-cache") || says("max-age=0")),
        write: !(apart || says("no-store") || flag("no-store")),
    }
}

/// The directives of a `Cache-Control` value.
pub(super) fn directives(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|directive| !directive.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn wishes(control: &str, body: &Value) -> (bool, bool) {
        let is_true =
            |path: &[&str]| path.iter().try_fold(body, |value, name| value.get(name)) == Some(&Value::Bool(true));
        let bypass = bypass(|name| (name == "cache-control" && !control.is_empty()).then_some(control), is_true);
        (bypass.read, bypass.write)
    }

    #[test]
    fn headers_ask_for_a_fresh_answer_or_for_none_to_be_kept() {
        assert_eq!(wishes("", &Value::Null), (true, true));
        assert_eq!(wishes("No-Cache", &Value::Null), (false, true));
        assert_eq!(wishes("max-age=0, x", &Value::Null), (false, true));
        assert_eq!(wishes("no-store", &Value::Null), (true, false));
        assert_eq!(wishes("no-transform , no-cache,no-store", &Value::Null), (false, false));
        assert_eq!(wishes("not-no-cache", &Value::Null), (true, true));
    }

    #[test]
    fn only_the_object_form_in_the_body_counts() {
        assert_eq!(wishes("", &json!({"cache": {"no-cache": true}})), (false, false));
        assert_eq!(wishes("", &json!({"extra_body": {"cache": {"no-cache": true}}})), (false, false));
        assert_eq!(wishes("", &json!({"cache": {"no-store": true}})), (true, false));
        for ignored in [json!(false), json!("no-cache"), json!(0), json!({"no-cache": "true"}), json!({"no-cache": 1})]
        {
            assert_eq!(wishes("", &json!({"cache": ignored})), (true, true), "{ignored}");
        }
    }
}
