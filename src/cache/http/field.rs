//! Reads header fields as texts, lists, dates and seconds, the way caches are to read them.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// All lines of a field as one text (RFC 9110 §5.3). Each byte becomes one letter, so that two values that differ stay
/// different whatever their encoding.
pub fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut lines = headers.get_all(name).iter().map(|value| latin(value.as_bytes()));
    let first = lines.next()?;
    Some(lines.fold(first, |all, line| all + ", " + &line))
}

/// Bytes as text, one letter each.
pub fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The items of a list, without the empty ones. Commas within double quotes part nothing; `escapes` says whether a
/// backslash there takes the meaning from the letter after it, which it does not in an entity tag.
pub fn items(list: &str, escapes: bool) -> Vec<&str> {
    split(list, ',', escapes).into_iter().map(trim).filter(|item| !item.is_empty()).collect()
}

/// The parts of a text between separators outside of double quotes.
pub fn split(text: &str, separator: char, escapes: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut literal) = (0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if literal => literal = false,
            '\\' if quoted && escapes => literal = true,
            '"' => quoted = !quoted,
            _ if letter == separator && !quoted => {
                parts.extend(text.get(start..at));
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// A text without white space around it, as HTTP knows it (RFC 9110 §5.6.3).
pub fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Whether a text is a token (RFC 9110 §5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A token, or what a quoted text says (RFC 9110 §5.6.4); `None` for anything else.
pub fn value(text: &str) -> Option<String> {
    let Some(inside) = text.strip_prefix('"') else {
        return is_token(text).then(|| text.to_owned());
    };
    let inside = inside.strip_suffix('"')?;
    let (mut said, mut escaped) = (String::with_capacity(inside.len()), false);
    for letter in inside.chars() {
        match letter {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return None,
            _ => {
                said.push(letter);
                escaped = false;
            }
        }
    }
    (!escaped).then_some(said)
}

/// A number of seconds (RFC 9111 §1.2.2): digits only; more than a hundred years are a hundred years.
pub fn seconds(text: &str) -> Option<Duration> {
    const MOST: u64 = 100 * 366 * 24 * 3600;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(text.parse().unwrap_or(MOST).min(MOST)))
}

/// A date in one of the three forms of RFC 9110 §5.6.7.
pub fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(trim(text)).ok()
}

/// The date that a field holds, if it holds one and no other.
pub fn date_of(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    date(only(headers, name)?)
}

/// The one value of a field; `None` when it is not there, or there are several that differ.
pub fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.all(|value| value == first).then(|| first.to_str().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_part_nothing() {
        assert_eq!(items(r#" a="1, \", 2" ,, b , c"#, true), [r#"a="1, \", 2""#, "b", "c"]);
        assert_eq!(items(r#""a\", "b,c""#, false), [r#""a\""#, r#""b,c""#], "an entity tag has no escapes");
    }

    #[test]
    fn values_are_tokens_or_quoted() {
        assert_eq!(value("3600").as_deref(), Some("3600"));
        assert_eq!(value(r#""a\"b, c""#).as_deref(), Some("a\"b, c"));
        for bad in ["", " 1", "a b", r#""a"#, r#""a\""#, r#""a"b""#, r#"a""#] {
            assert_eq!(value(bad), None, "{bad}");
        }
    }

    #[test]
    fn seconds_are_digits_and_never_overflow() {
        assert_eq!(seconds("003600"), Some(Duration::from_hours(1)));
        assert_eq!(seconds("99999999999999999999999"), seconds("3162240000"));
        for bad in ["", "-1", "+1", "1.0", "1a", "a1", "'1'", " 1", "\u{0661}"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn several_lines_are_one_date_only_when_they_agree() {
        let mut headers = HeaderMap::new();
        headers.append("expires", "Thu, 18 Aug 2050 02:01:18 GMT".parse().unwrap());
        headers.append("expires", "Thu, 18 Aug 2050 02:01:18 GMT".parse().unwrap());
        assert!(date_of(&headers, "expires").is_some());
        headers.append("expires", "Thu, 18 Aug 2050 02:01:19 GMT".parse().unwrap());
        assert_eq!(date_of(&headers, "expires"), None);
    }
}
