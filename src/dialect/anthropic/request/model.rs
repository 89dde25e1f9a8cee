//! What a model takes, by the version in its name: Anthropic's newer models refuse settings that the older ones demand
//! (Anthropic's guides Extended thinking, Adaptive thinking, Effort, and the migration notes of each model).

/// The version of a Claude model; nothing is known of a name without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model(Option<(u8, u8)>);

// === impl Model ===

impl Model {
    /// The version that a name says: `claude-opus-4-6`, `claude-3-7-sonnet-20250219`,
    /// `anthropic.claude-sonnet-4-5-20250929-v1:0`.
    pub(super) fn named(name: &str) -> Self {
        let Some((_, rest)) = name.split_once("claude") else {
            return Self(None);
        };
        let mut words = rest.split(['-', '.', '@', '_', ':', '/']).skip_while(|word| version_part(word).is_none());
        let major = words.next().and_then(version_part);
        let minor = words.next().and_then(version_part).unwrap_or_default();
        Self(major.map(|major| (major, minor)))
    }

    /// Whether it thinks as much as it sees fit, and takes an effort: from 4.6 on.
    pub(super) fn adapts(self) -> bool {
        self.0 >= Some((4, 6))
    }

    /// Whether it takes a budget of thinking tokens: until 4.6, and where nothing is known.
    pub(super) fn takes_budget(self) -> bool {
        self.0 < Some((4, 7))
    }

    /// Whether it takes the effort `xhigh`: from 4.7 on.
    pub(super) fn takes_xhigh(self) -> bool {
        self.0 >= Some((4, 7))
    }

    /// Whether it refuses any temperature, `top_p` and `top_k` but its own: from 4.7 on.
    pub(super) fn samples_itself(self) -> bool {
        self.0 >= Some((4, 7))
    }

    /// Whether it takes only one of temperature and `top_p`: from 4.1 on.
    pub(super) fn takes_one_of_temperature_and_top_p(self) -> bool {
        self.0 >= Some((4, 1))
    }
}

/// A part of a version, which a date is not.
fn version_part(word: &str) -> Option<u8> {
    if word.len() <= 2 { word.parse().ok() } else { None }
}
