//! Whether a stream that stops was whole: it says so in one of its last events, and one that does not was cut.

use std::collections::VecDeque;

use super::{Event, look};

/// The last events of a stream.
#[derive(Debug, Default)]
pub struct Ending {
    last: VecDeque<Event>,
}

/// How many events may come from the one that says that a stream is whole to its end: usage, a moderator's verdict, `[DONE]`.
const LAST: usize = 4;

// === impl Ending ===

impl Ending {
    /// Takes note of an event on its way.
    pub fn see(&mut self, event: &Event) {
        if !event.has_data() {
            return;
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(event.clone());
    }

    /// Whether a stream that stops here told its end, or its failure.
    pub fn is_told(&self) -> bool {
        self.last.iter().map(look).any(|seen| seen.terminal || seen.error)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::stream::Wire;

    fn told(events: &[&'static str]) -> bool {
        let mut ending = Ending::default();
        for event in events {
            ending.see(&Event::parse(Wire::Sse, Bytes::from_static(event.as_bytes())));
        }
        ending.is_told()
    }

    const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n";

    #[test]
    fn a_stream_is_whole_when_it_says_so_and_not_before() {
        assert!(told(&[WORD, STOP, USAGE, "data: [DONE]\n\n"]));
        assert!(told(&[WORD, STOP, USAGE]), "some servers say no [DONE]");
        assert!(told(&[WORD, "data: {\"error\":{\"message\":\"no\"}}\n\n"]), "a failure that was told is no cut");
        assert!(!told(&[WORD, WORD, WORD, WORD, WORD]));
        assert!(!told(&[]));
    }
}
