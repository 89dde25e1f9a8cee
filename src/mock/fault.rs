//! Reads the faults that a request asks for, so that a client can make the mock upstream fail in a known way.

use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

use super::failure::Failure;
use super::reply::Dialect;

/// Everything that goes wrong, on request, with one answer. The default is an answer without faults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Faults {
    /// `status=529`: this error, in the dialect's shape, in place of the answer.
    pub(super) status: Option<u16>,
    /// `error=context-length`: this error, in the dialect's words and with its status, in place of the answer. The
    /// errors that pass say so with `retry-after: 1` unless told otherwise.
    pub(super) error: Option<Failure>,
    /// `only=anthropic`: a model asked in another dialect does not exist, as with a real upstream. Ollama speaks
    /// `OpenAI`'s chat as well.
    pub(super) only: Option<Dialect>,
    /// `retry-after=2`: sent as it is, whatever the status.
    pub(super) retry_after: Option<String>,
    /// `early=413`: this error is sent before the body of the request is read.
    pub(super) early: Option<u16>,
    /// `delay=200ms`: before the first byte.
    pub(super) delay: Duration,
    /// `pause=50ms`: between two events, or two pieces of a plain body.
    pub(super) pause: Duration,
    /// `drip=5ms`: the body goes out byte by byte, with this pause between two.
    pub(super) drip: Option<Duration>,
    /// `split=7`: the body goes out in writes of so many bytes.
    pub(super) split: Option<usize>,
    /// `huge=10MB`: the length of the answer's text, or of the body when the answer has no text.
    pub(super) huge: Option<usize>,
    /// `events=200`: how many words the answer has, and so how many text events a stream has.
    pub(super) events: Option<usize>,
    /// `error-event=2`: after so many events the stream ends with an error in the dialect's shape; a plain answer is
    /// that error under a 200.
    pub(super) error_event: Option<usize>,
    /// `no-done`: the stream ends without the event that marks its end.
    pub(super) no_done: bool,
    /// `crlf`: the lines of a stream end with CR LF.
    pub(super) crlf: bool,
    /// `trailers`: the answer is chunked and a trailer section follows its body.
    pub(super) trailers: bool,
    /// `early-hints`: a 103 goes before the answer.
    pub(super) hints: Option<EarlyHints>,
    /// How the bytes of the answer end. Of several, the one named last counts.
    pub(super) ending: Ending,
}

/// Marks an answer that a 103 goes before (RFC 8297).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EarlyHints;

/// How an answer ends on the wire. Counts are of events, or of pieces of a plain body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Ending {
    /// As it should.
    #[default]
    Whole,
    /// `reset`: the connection is reset before any byte.
    Reset,
    /// `reset-after-head`: the head, then a reset.
    ResetAfterHead,
    /// `half-head`: half of the head, then an orderly close.
    HalfHead,
    /// `garbage`: bytes that are not HTTP, then a close.
    Garbage,
    /// `garbage=2`: so many, then bytes that are not what was announced.
    GarbageAfter(usize),
    /// `cut=3`: so many, then an orderly close without a terminator.
    Cut(usize),
    /// `stall=3`: so many, then nothing more until the client leaves.
    Stall(usize),
}

/// Why a list of faults cannot be carried out.
#[derive(Debug, Error, PartialEq)]
pub(super) enum FaultError {
    /// A word that names no fault.
    #[error("`{word}` is not a fault{}; known are: {}", .nearest.map(hint).unwrap_or_default(), WORDS.join(", "))]
    Unknown {
        /// The word as it was sent.
        word: String,
        /// The known word that looks most like it, when one does.
        nearest: Option<&'static str>,
    },
    /// A known word with a value that it cannot take.
    #[error("the fault `{word}` takes {takes}")]
    Value {
        /// The known word.
        word: String,
        /// What it takes, as the end of a sentence.
        takes: &'static str,
    },
}

/// Every fault, as an error message lists them.
pub(super) const WORDS: [&str; 22] = [
    "status",
    "error",
    "only",
    "retry-after",
    "delay",
    "pause",
    "reset",
    "reset-after-head",
    "cut",
    "stall",
    "garbage",
    "drip",
    "huge",
    "error-event",
    "no-done",
    "crlf",
    "split",
    "events",
    "half-head",
    "early",
    "trailers",
    "early-hints",
];

/// The longest text that `huge` makes: it is built in memory.
const MAX_HUGE: usize = 256_000_000;
/// The most words that `events` makes, for the same reason.
const MAX_EVENTS: usize = 100_000;
/// A likeness (0 to 1, Jaro-Winkler) from which a known word is worth proposing.
const LIKE: f64 = 0.75;

// === impl Faults ===

impl Faults {
    /// Adds the faults of a list such as `status=503;retry-after=2`, split at any of `separators`; what is named
    /// again is replaced.
    pub(super) fn add(&mut self, list: &str, separators: &[char]) -> Result<(), FaultError> {
        list.split(separators).map(str::trim).filter(|item| !item.is_empty()).try_for_each(|item| {
            let (word, value) = match item.split_once('=') {
                Some((word, value)) => (word.trim(), Some(value.trim())),
                None => (item, None),
            };
            self.set(word, value)
        })
    }

    /// Adds the faults that a model's name asks for: `fault-cut=3`, `any-model-fault-status=529,retry-after=1`.
    /// A name that merely holds the letters, such as `default-model`, asks for none.
    pub(super) fn add_from_model(&mut self, model: &str) -> Result<(), FaultError> {
        let starts = |at: usize| {
            model.get(..at).is_some_and(|before| !before.ends_with(|last: char| last.is_ascii_alphanumeric()))
        };
        let mut marks = model.match_indices(MODEL_MARK);
        let Some((at, _)) = marks.find(|(at, _)| starts(*at)) else { return Ok(()) };
        let list = model.get(at + MODEL_MARK.len()..).unwrap_or_default();
        let before = self.early;
        self.add(list, &[',', ';'])?;
        if self.early == before {
            return Ok(());
        }
        Err(FaultError::Value { word: "early".to_owned(), takes: "effect from the header x-mock-fault only" })
    }

    fn set(&mut self, word: &str, value: Option<&str>) -> Result<(), FaultError> {
        let given = Given { word, value };
        match word {
            "status" => self.status = Some(given.error_status()?),
            "error" => self.error = Some(given.failure()?),
            "only" => self.only = Some(given.dialect()?),
            "retry-after" => self.retry_after = Some(given.header_value()?),
            "early" => self.early = Some(given.error_status()?),
            "delay" => self.delay = given.duration()?,
            "pause" => self.pause = given.duration()?,
            "drip" => self.drip = Some(given.duration()?),
            "split" => self.split = Some(given.count(1..=1_000_000)?),
            "huge" => self.huge = Some(given.size()?),
            "events" => self.events = Some(given.count(1..=MAX_EVENTS)?),
            "error-event" => self.error_event = Some(given.count(0..=MAX_EVENTS)?),
            "cut" => self.ending = Ending::Cut(given.count(0..=usize::MAX)?),
            "stall" => self.ending = Ending::Stall(given.count(0..=usize::MAX)?),
            "garbage" if value.is_some() => self.ending = Ending::GarbageAfter(given.count(0..=usize::MAX)?),
            "garbage" => self.ending = Ending::Garbage,
            "reset" => self.ending = given.alone(Ending::Reset)?,
            "reset-after-head" => self.ending = given.alone(Ending::ResetAfterHead)?,
            "half-head" => self.ending = given.alone(Ending::HalfHead)?,
            "no-done" => self.no_done = given.alone(true)?,
            "crlf" => self.crlf = given.alone(true)?,
            "trailers" => self.trailers = given.alone(true)?,
            "early-hints" => self.hints = Some(given.alone(EarlyHints)?),
            _ => return Err(FaultError::Unknown { word: word.to_owned(), nearest: nearest(word) }),
        }
        Ok(())
    }
}

/// What begins the faults in a model's name.
const MODEL_MARK: &str = "fault-";

/// A fault's word and the value that came with it.
struct Given<'a> {
    /// Named in the error.
    word: &'a str,
    /// What stood after `=`.
    value: Option<&'a str>,
}

// === impl Given ===

impl Given<'_> {
    fn wrong(&self, takes: &'static str) -> FaultError {
        FaultError::Value { word: self.word.to_owned(), takes }
    }

    fn text(&self) -> &str {
        self.value.unwrap_or_default()
    }

    fn alone<T>(&self, meaning: T) -> Result<T, FaultError> {
        if self.value.is_none() { Ok(meaning) } else { Err(self.wrong("no value")) }
    }

    fn count(&self, range: RangeInclusive<usize>) -> Result<usize, FaultError> {
        let count = self.text().parse().ok().filter(|count| range.contains(count));
        count.ok_or_else(|| self.wrong("a number that is not too large, as in `cut=3`"))
    }

    fn error_status(&self) -> Result<u16, FaultError> {
        let status = self.text().parse().ok().filter(|status| (400..=599).contains(status));
        status.ok_or_else(|| self.wrong("a status from 400 to 599"))
    }

    fn failure(&self) -> Result<Failure, FaultError> {
        Failure::named(self.text()).ok_or_else(|| {
            self.wrong("one of auth, permission, not-found, invalid, context-length, content-policy, rate-limit, quota, overloaded")
        })
    }

    fn dialect(&self) -> Result<Dialect, FaultError> {
        let takes = "one of openai-chat, openai-responses, anthropic, gemini, ollama";
        Dialect::named(self.text()).ok_or_else(|| self.wrong(takes))
    }

    fn header_value(&self) -> Result<String, FaultError> {
        let value = self.value.filter(|value| !value.is_empty() && ::http::HeaderValue::from_str(value).is_ok());
        value.map(str::to_owned).ok_or_else(|| self.wrong("seconds or an HTTP date"))
    }

    /// A time with its unit: `20ms`, `2s`; at most an hour.
    fn duration(&self) -> Result<Duration, FaultError> {
        let millis = self.measure(&[("ms", 1), ("s", 1000)]).filter(|millis| *millis <= 3_600_000);
        millis.map(Duration::from_millis).ok_or_else(|| self.wrong("a time with its unit, as in `200ms` or `2s`"))
    }

    /// A size in bytes, or with a decimal unit: `1000`, `64KB`, `10MB`.
    fn size(&self) -> Result<usize, FaultError> {
        let bytes = self.measure(&[("KB", 1000), ("MB", 1_000_000), ("B", 1), ("", 1)]);
        let size = bytes.and_then(|bytes| usize::try_from(bytes).ok()).filter(|size| (1..=MAX_HUGE).contains(size));
        size.ok_or_else(|| self.wrong("a size up to 256MB, as in `10MB`"))
    }

    /// A whole number times the first of the units that it ends with.
    fn measure(&self, units: &[(&str, u64)]) -> Option<u64> {
        let (number, unit) =
            units.iter().find_map(|(unit, factor)| Some((self.text().strip_suffix(unit)?, *factor)))?;
        number.trim().parse::<u64>().ok()?.checked_mul(unit)
    }
}

/// The known word that `word` was likely meant to be.
fn nearest(word: &str) -> Option<&'static str> {
    let scored = WORDS.iter().map(|known| (strsim::jaro_winkler(word, known), *known));
    scored.filter(|(score, _)| *score >= LIKE).max_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, known)| known)
}

fn hint(known: &'static str) -> String {
    format!(" (did you mean `{known}`?)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Result<Faults, FaultError> {
        let mut faults = Faults::default();
        faults.add(list, &[';']).map(|()| faults)
    }

    fn read_model(model: &str) -> Result<Faults, FaultError> {
        let mut faults = Faults::default();
        faults.add_from_model(model).map(|()| faults)
    }

    #[test]
    fn every_listed_word_is_known() {
        for word in WORDS {
            for value in ["", "=1", "=2s", "=503", "=1MB"] {
                if let Err(error) = read(&format!("{word}{value}")) {
                    assert!(matches!(error, FaultError::Value { .. }), "{word}{value}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_list_sets_each_of_its_faults() {
        let faults = read("status=503; retry-after=Wed, 21 Oct 2026 07:28:00 GMT ;delay=200ms;cut=3").unwrap();
        assert_eq!(faults.status, Some(503));
        assert_eq!(faults.retry_after.as_deref(), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
        assert_eq!(faults.delay, Duration::from_millis(200));
        assert_eq!(faults.ending, Ending::Cut(3));
    }

    #[test]
    fn a_model_asks_at_its_start_and_after_a_prefix() {
        let wanted = Faults { status: Some(529), retry_after: Some("1".into()), ..Faults::default() };
        assert_eq!(read_model("fault-status=529,retry-after=1"), Ok(wanted.clone()));
        assert_eq!(read_model("mock/fault-status=529,retry-after=1"), Ok(wanted.clone()));
        assert_eq!(read_model("some-4o-fault-status=529;retry-after=1"), Ok(wanted));
        assert_eq!(read_model("default-model"), Ok(Faults::default()));
        assert!(read_model("fault-early=413").is_err());
    }

    #[test]
    fn sizes_and_times_need_sense() {
        assert_eq!(read("huge=10MB").unwrap().huge, Some(10_000_000));
        assert_eq!(read("huge=64KB").unwrap().huge, Some(64_000));
        assert_eq!(read("huge=12").unwrap().huge, Some(12));
        for wrong in ["huge=1GB", "huge=-1", "delay=5", "delay=2h", "drip", "cut", "cut=x", "status=200", "reset=1"] {
            assert!(matches!(read(wrong), Err(FaultError::Value { .. })), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_word_is_told_its_neighbour() {
        let error = read("stal=3").unwrap_err().to_string();
        assert!(error.contains("did you mean `stall`?") && error.contains("early-hints"), "{error}");
        assert!(!read("zzz").unwrap_err().to_string().contains("mean"));
    }
}
