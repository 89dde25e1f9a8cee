//! Losses: what a translation could not carry, named field by field so that nothing is dropped in silence.

use std::borrow::Cow;
use std::fmt;

/// One thing that a translation could not carry as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it stood, as a path into the body that was read: `messages[2].content[0].cache_control`.
    pub path: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in a few words for a person.
    pub why: Cow<'static, str>,
}

/// What became of something that a translation could not carry as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is gone.
    Dropped,
    /// Something near stands in its place.
    Approximated,
    /// The dialect demands something that the other does not have, so the gate made it up.
    Invented,
}

/// The losses of one translation, each path and verdict once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<Loss>);

// === impl Verdict ===

impl Verdict {
    /// Its name, as logs, snapshots and policies show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Approximated => "approximated",
            Self::Invented => "invented",
        }
    }
}

// === impl Losses ===

impl Losses {
    /// Says that something is gone.
    pub fn dropped(&mut self, path: impl Into<String>, why: impl Into<Cow<'static, str>>) {
        self.add(path.into(), Verdict::Dropped, why.into());
    }

    /// Says that something near stands in its place.
    pub fn approximated(&mut self, path: impl Into<String>, why: impl Into<Cow<'static, str>>) {
        self.add(path.into(), Verdict::Approximated, why.into());
    }

    /// Says that something was made up.
    pub fn invented(&mut self, path: impl Into<String>, why: impl Into<Cow<'static, str>>) {
        self.add(path.into(), Verdict::Invented, why.into());
    }

    /// All of them, in the order they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }

    /// Whether everything was carried.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These without those that another translation had too.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let same = |one: &Loss, other: &Loss| one.path == other.path && one.verdict == other.verdict;
        Self(self.0.iter().filter(|loss| !other.0.iter().any(|usual| same(loss, usual))).cloned().collect())
    }

    /// Adds another translation's losses: those of the answer to those of the request.
    pub fn extend(&mut self, other: Self) {
        for Loss { path, verdict, why } in other.0 {
            self.add(path, verdict, why);
        }
    }

    fn add(&mut self, path: String, verdict: Verdict, why: Cow<'static, str>) {
        if !self.0.iter().any(|loss| loss.path == path && loss.verdict == verdict) {
            self.0.push(Loss { path, verdict, why });
        }
    }
}

impl fmt::Display for Losses {
    /// All of them in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, loss) in self.0.iter().enumerate() {
            write!(f, "{}{loss}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

// === impl Loss ===

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.path, self.verdict.as_str(), self.why)
    }
}
