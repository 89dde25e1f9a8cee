//! An estimate of tokens, for `count_tokens` and for usage where the upstream says nothing.

use super::chat::{Chat, Format, Function, Media, Message, Part, Source, Tool};

#[cfg(test)]
mod tests;

/// What a token is worth in the estimate's sums: these many parts.
const TOKEN: u64 = 24;

/// A picture. Anthropic counts width × height ÷ 750 and shrinks to about 1,600 ("Vision"); `OpenAI`'s and Gemini's
/// counts lie below.
const IMAGE: u64 = 1_600;

/// `OpenAI`'s pictures of low detail, whatever their size ("Images and vision").
const SMALL_IMAGE: u64 = 85;

/// A document by reference: a few pages, of which Anthropic counts 1,500 to 3,000 tokens each ("PDF support").
const DOCUMENT: u64 = 6_000;

/// Bytes of base64 that stand for one token of a PDF: pages of 50 kB with 2,000 tokens each.
const DOCUMENT_BYTES: u64 = 33;

/// Sound by reference: a minute at Gemini's 32 tokens a second ("Audio understanding").
const AUDIO: u64 = 1_920;

/// Bytes of base64 that stand for one token of sound: 32 kB a second of WAV, less for MP3.
const AUDIO_BYTES: u64 = 600;

/// What a message costs beside its words: the marks of its start, role and end (`OpenAI` cookbook, "How to count
/// tokens").
const MESSAGE: u64 = 4;

/// What a chat costs beside its messages: the mark at which the answer begins.
const CHAT: u64 = 3;

/// What a tool costs beside its own words.
const TOOL: u64 = 8;

/// What the first tool brings with it: the maker's own instructions on calls.
const TOOLS: u64 = 40;

/// The same for Claude ("Tool use", "Pricing": 346 tokens for Claude 4 models).
const TOOLS_CLAUDE: u64 = 346;

/// About how many tokens a chat is to a model: the estimate of [`estimate_text`] for all words, schemas and calls, and
/// a flat price for messages, tools and media.
pub fn estimate(chat: &Chat) -> u64 {
    let messages: u64 = chat.messages.iter().map(message).sum();
    let tools: u64 = chat.tools.iter().map(tool).sum();
    let preamble = match () {
        () if chat.tools.is_empty() => 0,
        () if chat.model.contains("claude") => TOOLS_CLAUDE,
        () => TOOLS,
    };
    CHAT + messages + preamble + tools + chat.format.as_ref().map_or(0, format)
}

/// About how many tokens a text is. The rule: a word of up to six letters is one token, a longer one a token for each
/// four and a half letters; the space before a word costs nothing; three digits are a token; so is each mark of
/// punctuation but where marks run on, as they do in code, where two are one; a run of line ends or of further spaces
/// is one. A character of Chinese, Japanese or Korean is one, of other scripts beyond Latin a half.
pub fn estimate_text(text: &str) -> u64 {
    let mut count = Count::default();
    for c in text.chars() {
        count.add(c);
    }
    count.end().div_ceil(TOKEN)
}

/// What the characters so far come to.
#[derive(Default)]
struct Count {
    /// In parts of a token.
    parts: u64,
    /// The kind of the run at hand.
    kind: Kind,
    /// Its characters.
    length: u64,
}

/// Characters that make up tokens together.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// Spaces and tabs.
    #[default]
    Space,
    /// Line ends.
    Line,
    /// Letters of the Latin alphabet.
    Letter,
    /// Digits.
    Digit,
    /// Punctuation.
    Mark,
    /// Chinese, Japanese, Korean, and pictures.
    Wide,
    /// Letters of other scripts.
    Other,
}

// === impl Count ===

impl Count {
    fn add(&mut self, c: char) {
        let kind = Kind::of(c);
        if kind != self.kind {
            self.close();
            self.kind = kind;
        }
        self.length += 1;
    }

    fn end(mut self) -> u64 {
        self.close();
        self.parts
    }

    /// Adds what the run at hand comes to.
    fn close(&mut self) {
        let length = std::mem::take(&mut self.length);
        self.parts += match self.kind {
            _ if length == 0 => 0,
            // The space before a word belongs to it.
            Kind::Space if length == 1 => 0,
            Kind::Space | Kind::Line => TOKEN,
            Kind::Letter if length <= 6 => TOKEN,
            Kind::Letter => length * TOKEN * 2 / 9,
            Kind::Digit => length.div_ceil(3) * TOKEN,
            Kind::Mark => length.div_ceil(2) * TOKEN,
            Kind::Wide => length * TOKEN,
            Kind::Other => length * TOKEN / 2,
        };
    }
}

// === impl Kind ===

impl Kind {
    fn of(c: char) -> Self {
        match c {
            '\n' | '\r' => Self::Line,
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Self::Letter,
            '0'..='9' => Self::Digit,
            _ if c.is_whitespace() => Self::Space,
            _ if c.is_ascii() || ('\u{2010}'..='\u{2e7f}').contains(&c) => Self::Mark,
            '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'.. => Self::Wide,
            _ => Self::Other,
        }
    }
}

fn message(message: &Message) -> u64 {
    let name = message.name.as_deref().map_or(0, estimate_text);
    MESSAGE + name + message.parts.iter().map(part).sum::<u64>()
}

fn part(part: &Part) -> u64 {
    match part {
        Part::Text(text) => estimate_text(&text.text),
        Part::Refusal(text) => estimate_text(text),
        Part::Image(media) => image(media),
        Part::Document(media) => media_of(&media.source, DOCUMENT, DOCUMENT_BYTES),
        Part::Audio(media) => media_of(&media.source, AUDIO, AUDIO_BYTES),
        Part::ToolCall(call) => TOOL + estimate_text(&call.name) + estimate_text(&call.arguments),
        Part::ToolResult(result) => TOOL + result.parts.iter().map(self::part).sum::<u64>(),
        Part::Reasoning(reasoning) => estimate_text(&reasoning.text),
        Part::Other(value) => estimate_text(&value.to_string()),
    }
}

fn image(media: &Media) -> u64 {
    if media.detail.as_deref() == Some("low") { SMALL_IMAGE } else { IMAGE }
}

/// Media whose bytes are here by their number, others by a flat price.
fn media_of(source: &Source, flat: u64, bytes: u64) -> u64 {
    match source {
        Source::Data { base64, .. } => (base64.len() as u64).div_ceil(bytes),
        Source::Text(text) => estimate_text(text),
        Source::Url(_) | Source::File(_) => flat,
    }
}

fn tool(tool: &Tool) -> u64 {
    match tool {
        Tool::Function(function) => self::function(function),
        Tool::Server(value) => TOOL + estimate_text(&value.to_string()),
    }
}

fn function(function: &Function) -> u64 {
    let description = function.description.as_deref().map_or(0, estimate_text);
    let schema = function.schema.as_ref().map_or(0, |schema| estimate_text(&schema.to_string()));
    TOOL + estimate_text(&function.name) + description + schema
}

fn format(format: &Format) -> u64 {
    match format {
        Format::Json => 0,
        Format::Schema { schema, .. } => estimate_text(&schema.to_string()),
        Format::Other(value) => estimate_text(&value.to_string()),
    }
}
