//! The works that all proxies carry: what is sent, and how a proxy that did its work is told from one that did not.

use std::fmt::Write;

use clap::ValueEnum;

use crate::translation;
use crate::wire::Head;

/// User agents, each with the client that the rules of all proxies see in it. The same rules stand in `peers/` and in
/// `tidegate/`.
const AGENTS: [(&str, &str); 5] = [
    ("claude-cli/2.1.4 (external, cli)", "claude-code"),
    ("PyCharm/2026.2.1 (JRE 25; Linux)", "pycharm"),
    ("OpenAI/Python 2.9.0", "openai-python"),
    ("OpenAI/JS 6.10.1", "openai-node"),
    ("curl/8.11.0", "curl"),
];
/// Models, each with the upstream that serves it.
const MODELS: [(&str, &str); 2] = [("model-a", "a"), ("model-b", "b")];
/// Events of a stream that is sent at once; the terminator comes on top.
const EVENTS: usize = 200;
/// Events of a paced stream: few, so that many whole streams fit into a short measurement.
pub(crate) const PACED_EVENTS: usize = 20;
/// The pause between two of them: long enough for no proxy to be kept busy.
const GAP_US: usize = 2000;
/// Events of a stream that many follow, and the pause between two: long enough that all come while it runs.
const FOLLOWED: (usize, usize) = (100, 20_000);
/// Events of a slow stream, and the pause between two: long enough that all streams are open before the first ends.
const SLOW: (usize, usize) = (12, 2_000_000);
/// What a hook on events puts in place of the upstream's model name.
const REWRITTEN: &[u8] = br#""model":"gate""#;

/// One of the works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Forward.
    A,
    /// Recognise the client, tell the upstream and the client who it is.
    B,
    /// The same, and choose the upstream by the model in a body of 300 bytes.
    C300,
    /// The same with a body of 100 kB.
    C100k,
    /// Forward a stream.
    D,
    /// Forward a stream and change every event.
    DHook,
    /// Forward a stream whose events come one by one, each alone, as models send them.
    DPaced,
    /// The same, and change every event.
    DPacedHook,
    /// Answer from memory.
    Hit,
    /// Forward a stream that others ask for as well.
    Follow,
    /// Forward a stream whose events come seldom.
    Slow,
    /// Translate a chat request of 300 bytes into Anthropic's dialect, and the answer back.
    T300,
    /// The same with a body of 100 kB, in turns of about 1 kB.
    T100k,
    /// The same with a stream for the answer.
    Ts,
}

/// One request, and what its answer must show.
pub(crate) struct Variant {
    /// Head and body.
    pub bytes: Vec<u8>,
    /// The client that must be recognised.
    client: Option<&'static str>,
    /// The upstream that must have answered.
    upstream: Option<&'static str>,
    /// How many events of the upstream's own must come; none when the body is not looked at in that way.
    events: usize,
    /// Whether events must have been changed.
    rewritten: bool,
    /// Whether the answer must have come out of the cache.
    cached: bool,
    /// What tells a body that must have been translated.
    translated: Option<fn(&[u8]) -> bool>,
}

// === impl Work ===

impl Work {
    /// Its name in records and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C300 => "c300",
            Self::C100k => "c100k",
            Self::D => "d",
            Self::DHook => "d-hook",
            Self::DPaced => "d-paced",
            Self::DPacedHook => "d-paced-hook",
            Self::Hit => "hit",
            Self::Follow => "follow",
            Self::Slow => "slow",
            Self::T300 => "t300",
            Self::T100k => "t100k",
            Self::Ts => "ts",
        }
    }

    /// All its requests, each with the fields that the target needs. With `checked` off they are the same, but only the
    /// answer's status and length are looked at: for targets that are to do nothing.
    pub(crate) fn variants(self, checked: bool, fields: &[String]) -> Vec<Variant> {
        let fields = fields.iter().flat_map(|field| [field.as_str(), "\r\n"]).collect::<String>();
        let pairs = AGENTS.iter().flat_map(|agent| MODELS.iter().map(move |model| (agent, model)));
        pairs.map(|(agent, model)| self.variant(*agent, *model, checked, &fields)).collect()
    }

    fn variant(self, agent: (&str, &'static str), model: (&str, &'static str), checked: bool, fields: &str) -> Variant {
        let identifies = matches!(self, Self::B | Self::C300 | Self::C100k);
        let routes = matches!(self, Self::C300 | Self::C100k);
        let path = self.path();
        let body = self.body(model.0);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: {}\r\nAccept: */*\r\n{fields}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            agent.0,
            body.len()
        );
        Variant {
            bytes: (head + &body).into_bytes(),
            client: (identifies && checked).then_some(agent.1),
            upstream: (routes && checked).then_some(model.1),
            events: self.events(),
            rewritten: matches!(self, Self::DHook | Self::DPacedHook) && checked,
            cached: self == Self::Hit && checked,
            translated: self.translated().filter(|_| checked),
        }
    }

    /// Where the request goes. Upstreams of another dialect see no query; what they are to do stands in the body.
    fn path(self) -> String {
        match self {
            Self::A | Self::B => "/".to_owned(),
            Self::C300 | Self::C100k | Self::Hit | Self::T300 | Self::T100k => "/v1/chat/completions".to_owned(),
            Self::D | Self::DHook => format!("/v1/chat/completions?events={EVENTS}"),
            Self::DPaced | Self::DPacedHook => paced(PACED_EVENTS, GAP_US),
            Self::Follow => paced(FOLLOWED.0, FOLLOWED.1),
            Self::Slow => paced(SLOW.0, SLOW.1),
            Self::Ts => format!("/v1/chat/completions?events={}", translation::EVENTS),
        }
    }

    fn body(self, model: &str) -> String {
        match self {
            Self::C100k => body(model, 100_000, false),
            Self::A | Self::B | Self::C300 | Self::Hit => body(model, 300, false),
            Self::D | Self::DHook | Self::DPaced | Self::DPacedHook | Self::Follow | Self::Slow => {
                body(model, 300, true)
            }
            Self::T300 => translation::request(model, 300, false),
            Self::T100k => translation::request(model, 100_000, false),
            Self::Ts => translation::request(model, 300, true),
        }
    }

    /// How many events of the upstream's own must come.
    fn events(self) -> usize {
        match self {
            Self::D | Self::DHook => EVENTS,
            Self::DPaced | Self::DPacedHook => PACED_EVENTS,
            Self::Follow => FOLLOWED.0,
            Self::Slow => SLOW.0,
            _ => 0,
        }
    }

    fn translated(self) -> Option<fn(&[u8]) -> bool> {
        match self {
            Self::T300 | Self::T100k => Some(translation::is_answer),
            Self::Ts => Some(translation::is_stream),
            _ => None,
        }
    }
}

/// Where a stream of so many events comes from, with so many microseconds between two.
fn paced(events: usize, gap: usize) -> String {
    format!("/v1/chat/completions?events={events}&gap_us={gap}")
}

/// A request for a stream that sends one event and stays open.
pub(crate) fn held_stream() -> Vec<u8> {
    let body = body("model-a", 300, true);
    format!(
        "POST /v1/chat/completions?events=1&hold=1 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: curl/8.11.0\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A chat request of about `size` bytes. The messages come first and the model last, as some clients write it, so that
/// finding the model means going through the body.
fn body(model: &str, size: usize, stream: bool) -> String {
    const TURN: &str = "The tide turned at dawn; \\\"hold the gate\\\", said the keeper, and wrote it down.\\n";
    let mut body = String::from(r#"{"messages":[{"role":"user","content":""#);
    let tail = format!(r#""}}],"temperature":0.2,"model":"{model}","stream":{stream}}}"#);
    for turn in 1.. {
        if body.len() + TURN.len() + tail.len() + 40 > size {
            break;
        }
        body += TURN;
        if turn % 24 == 0 {
            body += r#""},{"role":"user","content":""#;
        }
    }
    while body.len() + tail.len() < size {
        body.push('.');
    }
    let _ = body.write_str(&tail);
    body
}

// === impl Variant ===

impl Variant {
    /// Whether the answer shows that the work was done.
    pub(crate) fn matches(&self, head: &Head, body: &[u8]) -> bool {
        let field =
            |name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| head.field(name) == Some(wanted.as_bytes()));
        head.is_ok()
            && !body.is_empty()
            && field("x-gate-client", self.client)
            && field("x-seen-client", self.client)
            && field("x-served-by", self.upstream)
            && (!self.cached || head.field("x-cache").is_some_and(|told| told.starts_with(b"hit")))
            && self.is_whole(body)
            && self.translated.is_none_or(|translated| translated(body))
    }

    /// Whether a body is a stream with all its events, where one was asked for.
    pub(crate) fn is_whole(&self, body: &[u8]) -> bool {
        self.events == 0 || self.stream_matches(body)
    }

    /// The target and the body of the request.
    pub(crate) fn parts(&self) -> Option<(&str, &[u8])> {
        let end = memchr::memmem::find(&self.bytes, b"\r\n\r\n")?;
        let (head, body) = self.bytes.split_at_checked(end + 4)?;
        Some((std::str::from_utf8(head).ok()?.split(' ').nth(1)?, body))
    }

    fn stream_matches(&self, body: &[u8]) -> bool {
        let count = |needle: &[u8]| memchr::memmem::find_iter(body, needle).count();
        let rewritten = if self.rewritten { self.events } else { 0 };
        // One more than the events that say something: the terminator.
        count(b"\n\n") == self.events + 1 && count(REWRITTEN) == rewritten
    }
}
