//! Which stored answers are meant: by key, tag, user or model. Every store purges by the same labels.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::key::Key;
use super::parts::unquoted;

/// Which stored answers are to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// All of them.
    All,
    /// The one with this key: 64 hexadecimal digits.
    Key(String),
    /// Those that the cache rule gave this tag.
    Tag(String),
    /// Those that may only serve this user.
    User(String),
    /// Those to requests for this model, or made by it.
    Model(String),
}

/// Parts of a key that name a model.
const MODELS: [&str; 2] = ["model", "gate.model"];

// === impl Pick ===

impl Pick {
    /// Reads what is meant from its name and value, as they stand in a query or on a command line.
    pub fn read(name: &str, value: &str) -> Result<Self, String> {
        let value = value.to_owned();
        match name {
            "all" => Ok(Self::All),
            _ if value.is_empty() => Err(format!("`{name}` is empty")),
            "key" if value.len() != 64 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Err("`key` is not 64 hexadecimal digits".to_owned())
            }
            "key" => Ok(Self::Key(value.to_ascii_lowercase())),
            "tag" => Ok(Self::Tag(value)),
            "user" => Ok(Self::User(value)),
            "model" => Ok(Self::Model(value)),
            _ => Err(format!("`{name}` is none of all, key, tag, user and model")),
        }
    }

    /// Whether an answer is meant.
    pub fn picks(&self, key: &Key, entry: &Entry) -> bool {
        *self == Self::All || self.is_among(&labels(key, entry))
    }

    /// Whether what has these labels is meant.
    pub(super) fn is_among(&self, labels: &[String]) -> bool {
        labels.contains(&self.label())
    }

    /// Whether an answer that is yet to come may be meant: its tags and the model that makes it are not known.
    pub(super) fn may_mean(&self, key: &Key) -> bool {
        matches!(self, Self::Tag(_) | Self::Model(_)) || self.is_among(&known(key, &[]))
    }

    /// The label of the answers that are meant.
    pub(super) fn label(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Key(key) => format!("key:{key}"),
            Self::Tag(tag) => format!("tag:{tag}"),
            Self::User(user) => format!("user:{user}"),
            Self::Model(model) => format!("model:{model}"),
        }
    }
}

/// Everything that an answer can be picked by.
pub(super) fn labels(key: &Key, entry: &Entry) -> Vec<String> {
    let mut labels = known(key, &entry.tags);
    labels
        .extend(entry.provenance.iter().filter_map(|provenance| Some(format!("model:{}", provenance.model.as_ref()?))));
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// What is known before there is an answer.
pub(super) fn known(key: &Key, tags: &[String]) -> Vec<String> {
    let mut labels = vec!["all".to_owned(), format!("key:{}", key.hash_hex())];
    labels.extend(user(key.scope()).map(|user| format!("user:{user}")));
    for (name, value) in key.parts() {
        if MODELS.contains(&name.as_str())
            && let Some(model) = unquoted(value)
        {
            labels.push(format!("model:{model}"));
        }
    }
    labels.extend(tags.iter().map(|tag| format!("tag:{tag}")));
    labels
}

/// The user that a scope belongs to, whatever key the user came with.
fn user(scope: &str) -> Option<&str> {
    let user = scope.strip_prefix("user:")?;
    Some(user.rsplit_once(" with key ").map_or(user, |(user, _)| user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Form;
    use crate::cache::tests::{entry, key};
    use crate::clock::Clock;
    use crate::exchange::decision::CacheRule;

    #[test]
    fn an_answer_is_picked_by_whatever_is_known_of_it() {
        let (key, mut entry) = (key("a", Some("ann with key 0123456789abcdef")), entry(Clock::live(), 1, 60));
        entry.tags = vec!["night".to_owned()];
        let picks = |name: &str, value: &str| Pick::read(name, value).unwrap().picks(&key, &entry);
        assert!(picks("all", "") && picks("tag", "night") && picks("user", "ann") && picks("model", "m"));
        assert!(picks("key", &key.hash_hex().to_uppercase()));
        assert!(!picks("tag", "day") && !picks("user", "an") && !picks("model", "n") && !picks("key", &"0".repeat(64)));
    }

    #[test]
    fn a_model_of_any_name_can_be_picked() {
        let named = Key::new(
            vec![("model".to_owned(), r#""tide "2" \x""#.to_owned())],
            &CacheRule::default(),
            None,
            "p",
            &Form { method: "POST", path: "/", dialect: None, stream: None, upstream: "up", model: None },
        );
        let entry = entry(Clock::live(), 1, 60);
        assert!(Pick::read("model", r#"tide "2" \x"#).unwrap().picks(&named, &entry));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (name, value) in [("tag", ""), ("key", "12"), ("colour", "red"), ("", "")] {
            assert!(Pick::read(name, value).is_err(), "{name}={value}");
        }
    }
}
