//! The seam in the text: what the new answer repeats of the old one is taken off, and so are blanks that stand already.

/// How much of what was said is searched for a beginning that the new answer repeats, in bytes.
const TAIL: usize = 600;

/// A repetition of so many bytes is one whatever it begins and ends with.
const SURELY: usize = 12;

/// A whole answer so far that is shorter, in bytes, is not looked for where nothing says that it is given back.
const SHORTEST: usize = 8;

/// A new answer that repeats the old one from its beginning for so long and then says something else tells it anew.
const RESTART: usize = 200;

/// Cuts the beginning of a new answer.
#[derive(Clone, Debug)]
pub(super) struct Overlap {
    /// All that was said.
    said: String,
    /// How much of it the new answer may repeat.
    repeats: Repeats,
    /// Blanks at the end of what was said that the upstream was not handed, so that it may say them itself.
    blanks: String,
    /// The new answer's beginning, while it is not known what of it is repeated.
    held: String,
    /// Whether that is known.
    known: bool,
}

/// What of the old answer the new one may repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// All of it, and surely: the server is known to give back the beginning that it was handed.
    Given,
    /// All of it: servers may do so.
    Whole,
    /// All of it, or its last words: a model that was asked to go on begins its sentence, or its word, again.
    Tail,
}

/// What is known of a beginning.
enum Verdict {
    /// More has to come.
    Wait,
    /// So many bytes of it are repeated.
    Repeated(usize),
    /// It tells the answer anew, and otherwise.
    Anew,
}

/// The new answer begins as the old one did and goes on otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToldAnew;

// === impl Overlap ===

impl Overlap {
    /// After `said`, of which the upstream was not handed the last `blanks`.
    pub(super) fn new(said: String, blanks: &str, repeats: Repeats) -> Self {
        let known = said.trim().is_empty();
        Self { said, repeats, blanks: blanks.to_owned(), held: String::new(), known }
    }

    /// What of a piece goes to the client.
    pub(super) fn push(&mut self, piece: String) -> Result<String, ToldAnew> {
        if self.known {
            return Ok(self.unblanked(piece));
        }
        self.held.push_str(&piece);
        match self.verdict() {
            Verdict::Wait => Ok(String::new()),
            Verdict::Anew => Err(ToldAnew),
            Verdict::Repeated(bytes) => {
                self.known = true;
                let held = std::mem::take(&mut self.held);
                Ok(self.unblanked(held.get(bytes..).unwrap_or_default().to_owned()))
            }
        }
    }

    /// The end of the new answer's text: what was held.
    pub(super) fn end(&mut self) -> String {
        self.known = true;
        let held = std::mem::take(&mut self.held);
        // A beginning of the old answer, or a piece of its end, that comes last adds nothing that is known to be new;
        // it is told all the same, for it may be.
        self.unblanked(held)
    }

    /// Takes off the blanks that the client has already.
    fn unblanked(&mut self, mut text: String) -> String {
        while let (Some(blank), Some(first)) = (self.blanks.chars().next(), text.chars().next()) {
            if blank != first {
                self.blanks.clear();
                break;
            }
            self.blanks.remove(0);
            text.remove(0);
        }
        text
    }

    fn verdict(&self) -> Verdict {
        let (said, held) = (self.said.trim_end_matches(char::is_whitespace), self.held.as_str());
        let handed = if self.repeats == Repeats::Tail { self.said.as_str() } else { said };
        // So little comes twice by chance.
        if self.repeats == Repeats::Whole && handed.len() < SHORTEST {
            return Verdict::Repeated(0);
        }
        if held.starts_with(handed) {
            return Verdict::Repeated(handed.len());
        }
        if handed.starts_with(held) {
            return Verdict::Wait;
        }
        if common(handed, held) >= RESTART {
            return Verdict::Anew;
        }
        if self.repeats == Repeats::Tail { self.tail() } else { Verdict::Repeated(0) }
    }

    /// How much of the last words is repeated.
    fn tail(&self) -> Verdict {
        let (said, held) = (self.said.as_str(), self.held.as_str());
        let mut best = 0;
        let floor = said.len().saturating_sub(TAIL);
        for (at, _) in said.char_indices().skip_while(|(at, _)| *at < floor) {
            let end = said.get(at..).unwrap_or_default();
            if !self.worth(at) {
                continue;
            }
            if end.len() > held.len() && end.starts_with(held) {
                return Verdict::Wait;
            }
            if held.starts_with(end) {
                best = best.max(end.len());
            }
        }
        Verdict::Repeated(best)
    }

    /// Whether what was said from here to its end would be a repetition, and not a word that merely comes twice: it is
    /// long, or it begins a word that stands right at the seam.
    fn worth(&self, at: usize) -> bool {
        let (before, end) = self.said.split_at(at);
        let word = |c: char| c.is_alphanumeric();
        let begins = end.chars().next().is_some_and(word) && !before.chars().next_back().is_some_and(word);
        end.len() >= SURELY || begins && !end.ends_with(char::is_whitespace)
    }
}

/// How many bytes two texts have in common at their beginning.
fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes out of an answer that comes in pieces of every size.
    fn joined(said: &str, blanks: &str, repeats: Repeats, new: &str) -> Result<String, ToldAnew> {
        let mut results = Vec::new();
        for size in 1..=new.chars().count().max(1) {
            let mut overlap = Overlap::new(said.to_owned(), blanks, repeats);
            let chars: Vec<char> = new.chars().collect();
            let pieces = chars.chunks(size).map(|piece| overlap.push(piece.iter().collect()));
            let said: Result<String, ToldAnew> = pieces.collect();
            results.push(said.map(|said| said + &overlap.end()));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{said:?} {new:?}: {results:?}");
        results.pop().unwrap()
    }

    #[test]
    fn a_word_that_was_cut_and_begun_again_stands_once() {
        let cases = [
            ("The quick bro", "brown fox", "wn fox"),
            ("The quick bro", "wn fox", "wn fox"),
            ("1, 2, 3", "30, 40", "0, 40"),
            ("one two three four", "two three four five", " five"),
            ("Grüße aus Mün", "München", "chen"),
            ("all of it", "all of it", ""),
            ("he had ", "had enough", "had enough"),
            ("a list:\n- one\n", "- two", "- two"),
            ("done.", "", ""),
        ];
        for (said, new, expected) in cases {
            assert_eq!(joined(said, "", Repeats::Tail, new).as_deref(), Ok(expected), "{said:?} {new:?}");
        }
    }

    #[test]
    fn a_beginning_that_is_given_back_is_taken_off() {
        let cases = [
            ("The quick", "", "The quick brown", " brown"),
            ("The quick ", " ", "The quick brown", "brown"),
            ("The quick ", " ", " brown", "brown"),
            ("The quick ", " ", "brown", "brown"),
            ("One.\n\n", "\n\n", "\n\nTwo.", "Two."),
            ("One.\n", "\n", "\n\nTwo.", "\nTwo."),
            ("ha", "", "ho", "ho"),
            ("ha", "", "haha", "haha"),
        ];
        for (said, blanks, new, expected) in cases {
            assert_eq!(joined(said, blanks, Repeats::Whole, new).as_deref(), Ok(expected), "{said:?} {new:?}");
        }
        assert_eq!(joined("bro", "", Repeats::Given, "brown").as_deref(), Ok("wn"));
    }

    #[test]
    fn an_answer_that_is_told_anew_is_refused() {
        let said = "word ".repeat(60);
        let new = format!("{}but otherwise", &said[..250]);
        for repeats in [Repeats::Whole, Repeats::Tail] {
            assert_eq!(joined(&said, "", repeats, &new), Err(ToldAnew));
        }
    }

    #[test]
    fn the_search_is_bounded() {
        let said = format!("begin {}", "x".repeat(10_000));
        assert_eq!(joined(&said[..2000], "", Repeats::Tail, "no").as_deref(), Ok("no"));
    }
}
