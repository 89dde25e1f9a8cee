//! The directives of `Cache-Control` and of the fields that stand in for it (RFC 9111 §5.2, RFC 9213), and what a request
//! asks for with them.

use std::time::Duration;

use http::HeaderMap;

use super::field;

/// The name by which `Surrogate-Control` can mean this gate, and that it says in `Surrogate-Capability`.
pub const DEVICE: &str = "tidegate";

/// The directives of a message, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives(Vec<(String, Argument)>);

/// What stands behind the `=` of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Argument {
    Nothing,
    Text(String),
    /// Something that is neither a token nor quoted.
    Broken,
}

/// A number of seconds that a directive says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seconds {
    /// The directive is not there.
    Unsaid,
    /// So many.
    Said(Duration),
    /// It is there and cannot be read, or is there twice with two meanings: then the answer counts as stale (§4.2.1).
    Unclear,
}

/// What a request asks of caches (RFC 9111 §5.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Only an answer that was validated now.
    pub no_cache: bool,
    /// Neither the request nor its answer is to be kept; nor does it look for a kept one.
    pub no_store: bool,
    /// Only a kept answer, or none.
    pub only_if_cached: bool,
    /// No older than this.
    pub max_age: Option<Duration>,
    /// Fresh for so long yet.
    pub min_fresh: Option<Duration>,
    /// Stale for so long at most.
    pub max_stale: Option<Duration>,
    /// Stale for so long at most, when an upstream fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

// === impl Directives ===

impl Directives {
    /// Those of `Cache-Control`.
    pub fn of(headers: &HeaderMap) -> Self {
        field::text(headers, "cache-control").map_or_else(Self::default, |text| Self::parse(&text))
    }

    /// Those that hold for this gate in place of `Cache-Control` and `Expires`, if there are any: `Surrogate-Control`
    /// and then `CDN-Cache-Control`, the more particular one first.
    pub fn targeted(headers: &HeaderMap) -> Option<Self> {
        let surrogate = field::text(headers, "surrogate-control").map(|text| Self::surrogate(&text));
        let cdn = || field::text(headers, "cdn-cache-control").map(|text| Self::parse(&text));
        surrogate.filter(|found| !found.0.is_empty()).or_else(cdn).filter(|found| !found.0.is_empty())
    }

    /// Reads a list of directives. What is no directive is left out.
    fn parse(text: &str) -> Self {
        Self(field::items(text, true).into_iter().filter_map(directive).collect())
    }

    /// Reads `Surrogate-Control`: a directive may name the one device that it is for. Those for this one come first, and
    /// those for others are left out. Of `max-age=60+10` the second number is how long it may be stale.
    fn surrogate(text: &str) -> Self {
        let (mut ours, mut anyones) = (Vec::new(), Vec::new());
        for item in field::items(text, true) {
            let mut parts = field::split(item, ';', true).into_iter();
            let Some((name, mut argument)) = parts.next().and_then(directive) else { continue };
            if let Argument::Text(value) = &mut argument
                && let Some((fresh, _)) = value.split_once('+')
            {
                *value = fresh.to_owned();
            }
            match parts.next().map(field::trim) {
                None => anyones.push((name, argument)),
                Some(DEVICE) => ours.push((name, argument)),
                Some(_) => {}
            }
        }
        let named = |name: &str| ours.iter().any(|(own, _)| own == name);
        anyones.retain(|(name, _)| !named(name));
        Self([ours, anyones].concat())
    }

    /// Whether a directive is there, whatever stands behind it.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// Whether a directive is there for the whole message: one that names fields is about those only.
    pub fn whole(&self, name: &str) -> bool {
        self.0.iter().any(|(own, argument)| own == name && !matches!(argument, Argument::Text(_)))
    }

    /// Whether a directive is there with nothing behind it.
    fn bare(&self, name: &str) -> bool {
        self.0.iter().any(|(own, argument)| own == name && *argument == Argument::Nothing)
    }

    /// The seconds that a directive says.
    pub fn seconds(&self, name: &str) -> Seconds {
        let mut said = self.0.iter().filter(|(own, _)| own == name).map(|(_, argument)| match argument {
            Argument::Text(text) => field::seconds(text),
            Argument::Nothing | Argument::Broken => None,
        });
        match said.next() {
            None => Seconds::Unsaid,
            Some(Some(first)) if said.all(|other| other == Some(first)) => Seconds::Said(first),
            Some(_) => Seconds::Unclear,
        }
    }

    /// The fields that `no-cache="…"` or `private="…"` name, in lower case.
    pub fn fields(&self, name: &str) -> Vec<String> {
        let texts = self.0.iter().filter_map(|(own, argument)| match argument {
            Argument::Text(text) if own == name => Some(text),
            _ => None,
        });
        texts.flat_map(|text| field::items(text, false)).map(str::to_ascii_lowercase).collect()
    }
}

/// One directive: its name in lower case, and what stands behind it.
fn directive(item: &str) -> Option<(String, Argument)> {
    let (name, argument) = match item.split_once('=') {
        None => (field::trim(item), Argument::Nothing),
        Some((name, text)) => (name, field::value(text).map_or(Argument::Broken, Argument::Text)),
    };
    field::is_token(name).then(|| (name.to_ascii_lowercase(), argument))
}

// === impl Seconds ===

impl Seconds {
    /// The seconds, if they can be read.
    pub fn said(self) -> Option<Duration> {
        match self {
            Self::Said(seconds) => Some(seconds),
            Self::Unsaid | Self::Unclear => None,
        }
    }
}

// === impl Wishes ===

impl Wishes {
    /// What a request asks for. Without `Cache-Control`, `Pragma: no-cache` means what it meant before there was one
    /// (RFC 7234 §5.4).
    pub fn of(headers: &HeaderMap) -> Self {
        let directives = Directives::of(headers);
        let pragma = || field::text(headers, "pragma").is_some_and(|text| Directives::parse(&text).has("no-cache"));
        // What cannot be read asks for nothing older than now.
        let strict = |name: &str| match directives.seconds(name) {
            Seconds::Unclear => Some(Duration::ZERO),
            seconds => seconds.said(),
        };
        Self {
            no_cache: directives.has("no-cache") || (!headers.contains_key("cache-control") && pragma()),
            no_store: directives.has("no-store"),
            only_if_cached: directives.has("only-if-cached"),
            max_age: strict("max-age"),
            min_fresh: directives.seconds("min-fresh").said(),
            max_stale: match directives.seconds("max-stale") {
                Seconds::Unclear if directives.bare("max-stale") => Some(Duration::MAX),
                seconds => seconds.said(),
            },
            stale_if_error: directives.seconds("stale-if-error").said(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn control(text: &'static str) -> Directives {
        Directives::of(&headers(&[("cache-control", text)]))
    }

    #[test]
    fn what_is_quoted_is_no_directive() {
        let read = control(r#"extension="max-age=3600, no-store", Max-Age="1""#);
        assert_eq!(read.seconds("max-age"), Seconds::Said(Duration::from_secs(1)));
        assert!(!read.has("no-store"));
    }

    #[test]
    fn what_cannot_be_read_is_unclear_and_what_is_no_directive_is_nothing() {
        for unclear in ["max-age=-1", "max-age='1'", "max-age=1.5", "max-age", "max-age= 1", "max-age=1, max-age=2"] {
            assert_eq!(control(unclear).seconds("max-age"), Seconds::Unclear, "{unclear}");
        }
        for unsaid in ["max-age =1", "x-max-age=1", "", ","] {
            assert_eq!(control(unsaid).seconds("max-age"), Seconds::Unsaid, "{unsaid}");
        }
        assert_eq!(control("max-age=7, max-age=7").seconds("max-age"), Seconds::Said(Duration::from_secs(7)));
    }

    #[test]
    fn lines_are_one_list() {
        let read = Directives::of(&headers(&[("cache-control", "max-age=3600"), ("cache-control", "S-MaxAge=1")]));
        assert_eq!(read.seconds("s-maxage"), Seconds::Said(Duration::from_secs(1)));
    }

    #[test]
    fn fields_that_a_directive_names_are_not_the_whole_message() {
        let read = control(r#"no-cache="A, b", private"#);
        assert_eq!(read.fields("no-cache"), ["a", "b"]);
        assert!(!read.whole("no-cache") && read.whole("private"));
    }

    #[test]
    fn a_surrogate_is_meant_by_name_before_all_and_not_by_anothers() {
        let read = |text: &'static str| Directives::targeted(&headers(&[("surrogate-control", text)]));
        let hour = Seconds::Said(Duration::from_hours(1));
        assert_eq!(read("max-age=3600").unwrap().seconds("max-age"), hour);
        assert_eq!(read("max-age=1, max-age=3600;tidegate").unwrap().seconds("max-age"), hour);
        assert_eq!(read("max-age=3600+60;tidegate").unwrap().seconds("max-age"), hour, "the rest is its time as stale");
        assert_eq!(read("max-age=3600;another"), None);
        let both = headers(&[("surrogate-control", "x;other"), ("cdn-cache-control", "max-age=3600")]);
        assert_eq!(Directives::targeted(&both).unwrap().seconds("max-age"), hour);
    }

    #[test]
    fn a_request_says_how_old_an_answer_may_be() {
        let wishes = |text: &'static str| Wishes::of(&headers(&[("cache-control", text)]));
        assert_eq!(wishes("max-age=0").max_age, Some(Duration::ZERO));
        assert_eq!(wishes("max-age=x").max_age, Some(Duration::ZERO));
        assert_eq!(wishes("max-stale").max_stale, Some(Duration::MAX));
        assert_eq!(wishes("max-stale=9").max_stale, Some(Duration::from_secs(9)));
        assert_eq!(wishes("max-stale=x").max_stale, None);
        assert!(Wishes::of(&headers(&[("pragma", "no-cache")])).no_cache);
        assert!(!Wishes::of(&headers(&[("pragma", "no-cache"), ("cache-control", "x")])).no_cache);
    }
}
