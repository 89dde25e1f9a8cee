//! What the mock upstream says and how it is identified: the same for equal requests.

use super::fault::Faults;

/// The one moment at which every answer is made: seconds since 1970, 2023-11-14T22:13:20Z.
pub(super) const CREATED: u64 = 1_700_000_000;
/// The same moment as RFC 3339 writes it.
pub(super) const CREATED_AT: &str = "2023-11-14T22:13:20Z";
/// The models that are listed; any other is served as well.
pub(super) const MODELS: [&str; 3] = ["mock-small", "mock-large", "mock-embed"];

/// Hexadecimal digits that are the same for the same path and body.
pub(super) fn id(path: &str, body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes()).update(b"\0").update(body);
    let mut digits = hasher.finalize().to_hex().to_string();
    digits.truncate(24);
    digits
}

/// The answer to what the user said, as long as the faults want it.
pub(super) fn text(said: &str, faults: &Faults) -> String {
    match (faults.huge, faults.events) {
        (Some(length), words) => fill(length, words.unwrap_or(1)),
        (None, Some(words)) => repeat(&format!("You said: {said}"), words),
        (None, None) => format!("You said: {said}"),
    }
}

/// A text word by word, each with the blanks before it, so that the words joined are the text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.len() - rest.trim_start().len();
        let length = rest.get(start..)?.find(char::is_whitespace).unwrap_or(rest.len() - start);
        let (word, left) = rest.split_at(start + length);
        rest = left;
        Some(word).filter(|word| !word.is_empty())
    })
}

/// The tokens of an answer: as many as it has words.
pub(super) fn tokens(text: &str) -> usize {
    words(text).count()
}

/// The tokens of a request: about one for four bytes.
pub(super) fn prompt_tokens(body: &[u8]) -> usize {
    (body.len() / 4).max(1)
}

/// `length` bytes of text in `words` words, or in as many as fit.
fn fill(length: usize, words: usize) -> String {
    let size = (length / words).max(2);
    let letters = b"tide".iter().copied().cycle();
    let text = letters.take(length).enumerate();
    text.map(|(index, letter)| if index > 0 && index % size == 0 && index / size < words { ' ' } else { letter.into() })
        .collect()
}

/// The words of `text` over and over, until there are `count`.
fn repeat(text: &str, count: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().cycle().take(count).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_text_joined_are_the_text() {
        for text in ["You said: hello there", " a  b\n\tc ", "", " ", "naïve 🌊 flood", "one"] {
            assert_eq!(words(text).collect::<String>(), text);
        }
        assert_eq!(words("You said: hi").collect::<Vec<_>>(), ["You", " said:", " hi"]);
    }

    #[test]
    fn an_answer_has_the_length_asked_for() {
        let asked = |huge, events| text("hi", &Faults { huge, events, ..Faults::default() });
        assert_eq!(tokens(&asked(None, Some(200))), 200);
        assert_eq!(asked(Some(1000), None).len(), 1000);
        assert_eq!(tokens(&asked(Some(1000), None)), 1);
        assert_eq!(asked(Some(1003), Some(7)).len(), 1003);
        assert_eq!(tokens(&asked(Some(1003), Some(7))), 7);
    }

    #[test]
    fn an_id_depends_on_path_and_body() {
        assert_eq!(id("/a", b"b"), id("/a", b"b"));
        assert_ne!(id("/a", b"b"), id("/a", b"c"));
        assert_ne!(id("/a", b"b"), id("/b", b"b"));
    }
}
