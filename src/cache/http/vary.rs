//! Which requests an answer was chosen for (RFC 9111 §4.1): its `Vary`, with the values that its own request had there.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::field;

/// The fields that chose an answer, in lower case, and what its request said there, as far as it makes a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selecting(Vec<(String, Option<String>)>);

// === impl Selecting ===

impl Selecting {
    /// What chose an answer to a request. `None` for `*`, which no other request can match.
    pub fn of(answer: &HeaderMap, request: &HeaderMap) -> Option<Self> {
        let names = names(answer);
        if names.iter().any(|name| name == "*") {
            return None;
        }
        let with_value = |name: String| {
            let value = normal(request, &name);
            (name, value)
        };
        Some(Self(names.into_iter().map(with_value).collect()))
    }

    /// Whether a request would have been given the same answer, which is in this one `language`, if it says so.
    pub fn matches(&self, request: &HeaderMap, language: Option<&str>) -> bool {
        self.0.iter().all(|(name, value)| {
            normal(request, name) == *value || (name == "accept-language" && wanted_most(request, language))
        })
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        let text = |(name, value): &(String, Option<String>)| name.len() + value.as_ref().map_or(0, String::len) + 64;
        self.0.iter().map(text).sum()
    }
}

/// The fields that `Vary` names, in lower case, each once.
fn names(answer: &HeaderMap) -> Vec<String> {
    let text = field::text(answer, "vary").unwrap_or_default();
    let mut names: Vec<String> = field::items(&text, true).into_iter().map(str::to_ascii_lowercase).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a request says in a field, so that values that mean the same are the same: its lines as one list, without white
/// space around the items; preferences in lower case and in order.
fn normal(request: &HeaderMap, name: &str) -> Option<String> {
    let text = field::text(request, name)?;
    let mut items: Vec<String> = field::items(&text, true).into_iter().map(str::to_owned).collect();
    if matches!(name, "accept-language" | "accept-encoding" | "accept-charset") {
        items = items.iter().map(|item| item.to_ascii_lowercase().replace([' ', '\t'], "")).collect();
        items.sort_unstable();
    }
    Some(items.join(","))
}

/// Whether an answer's language is the one that a request wants most: whatever its upstream has to choose from, there is
/// nothing better.
fn wanted_most(request: &HeaderMap, language: Option<&str>) -> bool {
    let Some(spoken) = language else { return false };
    let text = field::text(request, "accept-language").unwrap_or_default();
    let mut wanted: Vec<(u32, &str)> = field::items(&text, true).into_iter().map(preference).collect();
    wanted.sort_unstable_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    match wanted.as_slice() {
        [(best, language)] | [(best, language), (0, _), ..] if *best > 0 => language.eq_ignore_ascii_case(spoken),
        [(best, language), (second, _), ..] => best > second && language.eq_ignore_ascii_case(spoken),
        _ => false,
    }
}

/// An item with its weight in thousandths (RFC 9110 §12.4.2).
fn preference(item: &str) -> (u32, &str) {
    let Some((name, parameters)) = item.split_once(';') else { return (1000, item) };
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        field::trim(name).eq_ignore_ascii_case("q").then(|| thousandths(field::trim(value)))
    });
    (weight.unwrap_or(1000), field::trim(name))
}

/// `0.75` as 750; what is no weight is none at all.
fn thousandths(text: &str) -> u32 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u32>()) {
        ("1", Ok(_)) => 1000,
        ("0", Ok(part)) => part,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn serves(
        vary: &'static str,
        first: &[(&'static str, &'static str)],
        then: &[(&'static str, &'static str)],
    ) -> bool {
        let answer = headers(&[("vary", vary)]);
        Selecting::of(&answer, &headers(first)).unwrap().matches(&headers(then), Some("de"))
    }

    #[test]
    fn a_field_that_chose_must_be_the_same_and_no_other_counts() {
        assert!(serves("Foo", &[("foo", "1"), ("bar", "2")], &[("foo", "1"), ("bar", "3")]));
        assert!(!serves("Foo", &[("foo", "1")], &[("foo", "2")]));
        assert!(!serves("Foo", &[("foo", "1")], &[]));
        assert!(!serves("Foo", &[], &[("foo", "1")]));
        assert!(serves("Foo, Bar", &[("foo", "1")], &[("foo", "1")]));
    }

    #[test]
    fn a_star_anywhere_matches_nothing() {
        for vary in ["*", "*, *", ", *", "Foo, *"] {
            assert_eq!(Selecting::of(&headers(&[("vary", vary)]), &HeaderMap::new()), None, "{vary}");
        }
        assert_eq!(Selecting::of(&headers(&[("vary", ""), ("vary", "*")]), &HeaderMap::new()), None);
    }

    #[test]
    fn values_that_mean_the_same_are_the_same() {
        assert!(serves("Foo", &[("foo", "1, 2")], &[("foo", "1"), ("foo", "2")]));
        assert!(serves("Foo", &[("foo", "1,2")], &[("foo", " 1, 2 ")]));
        assert!(!serves("Foo", &[("foo", "a, b")], &[("foo", "b, a")]), "the order may mean something");
        assert!(serves("Accept-Language", &[("accept-language", "en, fr")], &[("accept-language", "FR ,eN")]));
        assert!(!serves("Accept-Language", &[("accept-language", "en, fr;q=0.5")], &[("accept-language", "en, fr")]));
    }

    #[test]
    fn the_language_that_is_wanted_most_is_as_good_as_chosen() {
        let german = |wanted: &'static str| {
            serves("Accept-Language", &[("accept-language", "en, de")], &[("accept-language", wanted)])
        };
        assert!(german("fr;q=0.5, de;q=1.0") && german("de") && german("DE, en;q=0"));
        assert!(!german("de, fr") && !german("fr, de;q=0.9") && !german("*") && !german("de;q=0"));
    }
}
