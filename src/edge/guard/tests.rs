use super::{Framer, Limits, Step};

mod bodies;

/// How a connection stands when the client has sent everything.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Between messages.
    Clean,
    /// Within a head.
    InHead,
    /// Within a body.
    InBody,
    /// A head was refused.
    Refused(u16, &'static str),
    /// A body was broken off.
    Fault(&'static str),
    /// An upgrade awaits its answer, with so many bytes behind it.
    Held(usize),
    /// Everything passes.
    Raw,
}

/// What passed of a connection, message by message, as head and body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    messages: Vec<(String, Vec<u8>)>,
    end: End,
}

// === impl Outcome ===

impl Outcome {
    fn heads(&self) -> Vec<&str> {
        self.messages.iter().map(|(head, _)| head.as_str()).collect()
    }

    /// What a strict proxy would say: everything passed, or something did not.
    fn is_refused(&self) -> bool {
        matches!(self.end, End::Refused(..) | End::Fault(_) | End::InHead | End::InBody)
    }
}

/// One character per byte.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Feeds `pieces` one after the other.
fn feed<'a>(limits: Limits, allow_h2c: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut framer = Framer::new(limits, allow_h2c);
    let mut waiting = Vec::new();
    let mut messages: Vec<(String, Vec<u8>)> = Vec::new();
    let mut stopped = None;
    for piece in pieces {
        waiting.extend_from_slice(piece);
        while stopped.is_none() {
            let in_head = framer.is_in_head();
            match framer.advance(&waiting) {
                Step::More | Step::Hold => break,
                Step::Skip(count) => drop(waiting.drain(..count)),
                Step::Pass(count) => {
                    let passed: Vec<u8> = waiting.drain(..count).collect();
                    match messages.last_mut() {
                        Some((_, body)) if !in_head => body.extend_from_slice(&passed),
                        _ => messages.push((text(&passed), Vec::new())),
                    }
                }
                Step::Replace { taken, with } => {
                    waiting.drain(..taken);
                    messages.push((text(&with), Vec::new()));
                }
                Step::Refuse(refusal) => {
                    stopped = Some(End::Refused(refusal.status, refusal.reason));
                }
                Step::Fault(reason) => stopped = Some(End::Fault(reason)),
            }
        }
    }
    let end = stopped.unwrap_or_else(|| match () {
        () if framer.is_held() => End::Held(waiting.len()),
        () if framer.is_raw() => End::Raw,
        () if framer.is_in_head() && waiting.is_empty() => End::Clean,
        () if framer.is_in_head() => End::InHead,
        () => End::InBody,
    });
    Outcome { messages, end }
}

/// Feeds `raw` whole, split at every offset, and byte by byte, and insists that it makes no difference.
fn judge_with(limits: Limits, raw: &[u8]) -> Outcome {
    let whole = feed(limits, false, [raw]);
    for at in 1..raw.len() {
        let (first, second) = raw.split_at(at);
        assert_eq!(feed(limits, false, [first, second]), whole, "split at {at}: {}", text(raw));
    }
    assert_eq!(feed(limits, false, raw.chunks(1)), whole, "byte by byte: {}", text(raw));
    whole
}

/// The bytes that the characters up to U+00FF stand for.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).unwrap()).collect()
}

fn judge(raw: &str) -> Outcome {
    judge_with(Limits::default(), &bytes(raw))
}

/// The verdict on one header line beside a good `Host`.
fn judge_field(line: &str) -> End {
    judge(&format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n")).end
}

/// The verdict on a request line.
fn judge_line(line: &str) -> End {
    judge(&format!("{line}\r\nHost: h\r\n\r\n")).end
}

/// The verdict on a chunked body.
fn judge_body(body: &str) -> End {
    judge(&format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).end
}

fn bad(reason: &'static str) -> End {
    End::Refused(400, reason)
}

/// Insists that `raw` passes as one message in the form `expected`.
fn assert_becomes(raw: &str, expected: &str) {
    let outcome = judge(raw);
    assert_eq!((outcome.heads(), &outcome.end), (vec![expected], &End::Clean));
}

/// Insists that `raw`, one head, passes as it is.
fn assert_untouched(raw: &str) {
    assert_becomes(raw, raw);
}

#[test]
fn ordinary_requests_pass_untouched() {
    assert_untouched("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_untouched("GET /a?b=%20c HTTP/1.0\r\n\r\n");
    assert_untouched("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_untouched("M-SEARCH! //x\\y|{\"}<> HTTP/1.1\r\nhOST:[::1]:80\r\nX-Empty:\r\nX.Y|Z: \t caf\u{e9} \t\r\n\r\n");
}

#[test]
fn two_empty_lines_before_a_request_are_forgotten_and_three_are_refused() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_becomes(&format!("\r\n\r\n{request}"), request);
    assert_eq!(judge(&format!("\r\n\r\n\r\n{request}")).end, bad("empty lines before the request line"));
    let twice = judge(&format!("{request}\r\n{request}\r\n"));
    assert_eq!((twice.heads().len(), twice.end), (2, End::Clean));
}

#[test]
fn a_request_line_has_three_parts_and_two_spaces() {
    for line in
        ["GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / x HTTP/1.1", "GET\t/ HTTP/1.1", " GET / HTTP/1.1", "GET"]
    {
        assert!(matches!(judge_line(line), End::Refused(400, _)), "{line}");
    }
    assert_eq!(judge_line("G\"T / HTTP/1.1"), bad("invalid method"));
    assert_eq!(judge_line("\u{16}\u{3}\u{1}"), bad("malformed request line"));
}

#[test]
fn versions_not_spoken_are_505_and_nonsense_is_400() {
    for version in ["HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "HTTP/3.7"] {
        assert_eq!(judge_line(&format!("GET / {version}")), End::Refused(505, "HTTP version not spoken here"));
    }
    for version in ["HTTP/1", "HTTP/1.11", "http/1.1", "HTTP/1.x", "HTTPS/1.1", ""] {
        assert_eq!(judge_line(&format!("GET / {version}")), bad("malformed HTTP version"), "{version}");
    }
}

#[test]
fn a_target_is_visible_ascii_without_fragment() {
    for target in ["/\u{e9}", "/a#b", "/\u{7f}", "/\u{1}", "/\t"] {
        assert_eq!(
            judge_line(&format!("GET {target} HTTP/1.1")),
            bad("invalid byte in the request target"),
            "{target:?}"
        );
    }
}

#[test]
fn a_target_has_a_form_that_suits_its_method() {
    for target in ["a", "*", "h:80", "ftp://h/", "http:/h/", "https:h"] {
        assert_eq!(judge_line(&format!("GET {target} HTTP/1.1")), bad("invalid request target"), "{target}");
    }
    assert_eq!(judge_line("CONNECT h:443 HTTP/1.1"), End::Refused(501, "CONNECT is not offered"));
    for target in
        ["http://", "http:///x", "http://h:x/", "http://h:70000/", "http://[::1/", "http://h\\e/", "http://u@"]
    {
        assert_eq!(
            judge_line(&format!("GET {target} HTTP/1.1")),
            bad("invalid authority in the request target"),
            "{target}"
        );
    }
    for target in ["http://a@b@c/", "http://h\\@e/", "http://[h]@e/"] {
        assert_eq!(
            judge_line(&format!("GET {target} HTTP/1.1")),
            bad("ambiguous authority in the request target"),
            "{target}"
        );
    }
}

#[test]
fn an_absolute_target_becomes_a_path_and_names_the_host() {
    assert_becomes(
        "GET http://B:81/x?y HTTP/1.1\r\nA: 1\r\nhOst:  a\r\nZ:\t2 \r\n\r\n",
        "GET /x?y HTTP/1.1\r\nA: 1\r\nhOst: B:81\r\nZ:\t2 \r\n\r\n",
    );
    assert_becomes("GET HTTPS://b HTTP/1.1\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_becomes("GET http://b?q HTTP/1.1\r\nHost: b\r\n\r\n", "GET /?q HTTP/1.1\r\nHost: b\r\n\r\n");
    assert_becomes("GET http://u:p@[::1]/ HTTP/1.1\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    assert_becomes("GET http://b/ HTTP/1.0\r\nX: 1\r\n\r\n", "GET / HTTP/1.0\r\nHost: b\r\nX: 1\r\n\r\n");
    assert_becomes("OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n");
}

#[test]
fn only_crlf_ends_a_line() {
    for raw in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        assert!(matches!(judge(raw).end, End::Refused(400, _)), "{raw:?}");
    }
    assert_eq!(judge_field("A: b\rC: d"), bad("invalid byte in a header value"));
    assert_eq!(judge_field("\rA: b"), bad("malformed header name"));
}

#[test]
fn folded_lines_and_space_around_names_are_refused() {
    assert_eq!(judge_field("A: b\r\n c"), bad("folded header line"));
    assert_eq!(judge_field("A: b\r\n\tc: d"), bad("folded header line"));
    assert_eq!(judge_field("A : b"), bad("white space in a header name"));
    assert_eq!(judge_field("A\t: b"), bad("white space in a header name"));
}

#[test]
fn names_are_tokens_and_values_have_no_control_characters() {
    for line in [": b", "A", "A\u{0}: b", "(A): b", "A\u{e9}: b", "\"A\": b", "A/B: c", "\u{b}A: b"] {
        assert_eq!(judge_field(line), bad("malformed header name"), "{line:?}");
    }
    for byte in (0..=255).map(char::from) {
        let verdict = judge_field(&format!("A: x{byte}y"));
        if matches!(byte, '\t' | ' '..='~' | '\u{80}'..) {
            assert_eq!(verdict, End::Clean, "{byte:?}");
        } else {
            assert!(matches!(verdict, End::Refused(400, _)), "{byte:?}");
        }
    }
}

#[test]
fn host_is_given_once_and_names_a_host() {
    assert_eq!(judge("GET / HTTP/1.1\r\n\r\n").end, bad("Host missing"));
    assert_eq!(judge_field("Host: h"), bad("Host given twice"));
    for host in [
        "a b", "a@b", "a/b", "", "a:b", "a:99999", "a:1:2", "[::1", "[x]", "[::1]x", "a%2", "h\u{e9}", ":80", "a\\b",
        "a?b", "a#b",
    ] {
        assert_eq!(judge(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).end, bad("invalid Host"), "{host}");
    }
    for host in ["a", "a.b-c_d:80", "0.0.0.0=5000", "[::1]", "[2001:db8::1]:8443", "%41", "a:"] {
        assert_untouched(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
}

#[test]
fn a_length_is_one_number_that_fits() {
    for value in ["", "-1", "+1", "1 1", "5, 5", "0x3", "1_0", "1.0", "\u{b}3", "3;", "three", "\u{e9}"] {
        assert!(matches!(judge_field(&format!("Content-Length: {value}")), End::Refused(400, _)), "{value:?}");
    }
    for value in ["9223372036854775808", "99999999999999999999"] {
        assert_eq!(judge_field(&format!("Content-Length: {value}")), bad("Content-Length too large"));
    }
    assert_eq!(judge_field("Content-Length: 9223372036854775807"), End::InBody);
    assert_eq!(judge_field("Content-Length: 0\r\ncontent-length: 0"), bad("Content-Length given twice"));
    assert_eq!(judge_field("Content-Type: a/b\r\ncontent-type: a/b"), bad("Content-Type given twice"));
    assert_eq!(judge_field("Content_Length: 5"), End::Clean);
}

#[test]
fn a_length_frames_exactly_its_bytes() {
    let outcome = judge(
        "GET / HTTP/1.0\r\nconTENT-length:\t0024 \r\n\r\nGET /second HTTP/1.1\r\n\r\nPUT / HTTP/1.0\r\nContent-Length: 1\r\n\r\nxy",
    );
    let bodies: Vec<String> = outcome.messages.iter().map(|(_, body)| text(body)).collect();
    assert_eq!(bodies, ["GET /second HTTP/1.1\r\n\r\n", "x"]);
    assert_eq!(outcome.end, End::InHead);
}
