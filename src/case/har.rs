//! Reads what a browser or a debugging proxy exported (HAR 1.2, <http://www.softwareishard.com/blog/har-12-spec/>) as
//! recordings, so that traffic from before the gate can be replayed on it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Version;
use jiff::Timestamp;
use serde::Deserialize;

use super::recording::Recording;
use super::script::ANY;
use super::{Answer, Call, Case, Piece, Setup};
use crate::fault::Fault;
use crate::message::{RequestHead, ResponseHead};

/// What a HAR file gave.
#[derive(Debug, Default)]
pub struct Read {
    /// Its exchanges, in the order of the file.
    pub recordings: Vec<Recording>,
    /// How many entries were left out: `WebSocket`s, and requests that were never answered.
    pub skipped: usize,
    /// What could not be read, each with the number of its entry, counted from 1, in place of a line.
    pub faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    /// Each is read by itself, so that a faulty one does not hide the others.
    entries: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    request: Request,
    response: Response,
    #[serde(default)]
    timings: Timings,
    /// Chrome's word for what it fetched; `websocket` for one.
    #[serde(rename = "_resourceType")]
    resource_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    http_version: String,
    headers: Vec<Header>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
    /// Chrome's mark of a body that is no text.
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Header>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: i64,
    #[serde(default)]
    status_text: String,
    #[serde(default)]
    http_version: String,
    headers: Vec<Header>,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    text: Option<String>,
    encoding: Option<String>,
}

/// Milliseconds; -1 where a phase does not apply.
#[derive(Default, Deserialize)]
struct Timings {
    #[serde(default)]
    wait: f64,
    #[serde(default)]
    receive: f64,
}

/// Headers of a connection, and those that no longer hold once a browser has undone a body's coding.
const DROPPED: [&str; 7] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// Longer times of an entry are taken for mistakes.
const LONGEST: Duration = Duration::from_hours(24);

/// Reads a HAR file; `file` names it in faults.
pub fn read(file: &str, text: &str) -> Read {
    let mut read = Read::default();
    let log = match serde_json::from_str::<File>(text.trim_start_matches('\u{feff}')) {
        Ok(file) => file.log,
        Err(error) => {
            let why = format!("this is no HAR file: {error}");
            read.faults.push(Fault::at(file, error.line(), error.column(), why));
            return read;
        }
    };
    for (index, entry) in log.entries.into_iter().enumerate() {
        match serde_json::from_value::<Entry>(entry)
            .map_err(|error| error.to_string())
            .and_then(|it| recording(file, index + 1, it))
        {
            Ok(Some(recording)) => read.recordings.push(recording),
            Ok(None) => read.skipped += 1,
            Err(why) => read.faults.push(Fault::in_file(file, format!("entry {}: {why}", index + 1))),
        }
    }
    read
}

/// An entry as a recording; `None` for what is no exchange.
fn recording(file: &str, number: usize, entry: Entry) -> Result<Option<Recording>, String> {
    let url = &entry.request.url;
    let socket =
        entry.resource_type.as_deref() == Some("websocket") || url.starts_with("ws:") || url.starts_with("wss:");
    if socket || matches!(entry.response.status, 0 | 101) {
        return Ok(None);
    }
    let at: Timestamp = entry
        .started_date_time
        .parse()
        .map_err(|error| format!("`{}` is not a time: {error}", entry.started_date_time))?;
    let at = SystemTime::from(at);
    let about = format!("{} {url}, entry {number} of {file}.", entry.request.method);
    let call = call(entry.request)?;
    let id = format!("har-{number}");
    let setup = Setup { clock: at, id: Some(id.clone()), ..Setup::default() };
    let answers = vec![answer(entry.response, &entry.timings)?];
    let case = Case { file: id.clone(), about, setup, calls: vec![call], answers };
    Ok(Some(Recording { id, at, generation: String::new(), case }))
}

fn call(request: Request) -> Result<Call, String> {
    let (scheme, rest) = request.url.split_once("://").ok_or_else(|| format!("`{}` is no URL", request.url))?;
    let (host, target) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let target = target.split('#').next().unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let mut head = RequestHead::build(request.method.as_str(), target.as_bytes(), None)
        .map_err(|error| format!("its request is not HTTP: {error}"))?;
    head.set_version(version(&request.http_version));
    if !request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("host")) {
        add(&mut |name, value| head.append_header(name, value).is_ok(), "Host", host)?;
    }
    for header in &request.headers {
        add(&mut |name, value| head.append_header(name, value).is_ok(), &header.name, &header.value)?;
    }
    let bytes = match request.post_data {
        Some(data) => posted(data)?,
        None => Vec::new(),
    };
    if !bytes.is_empty() {
        let length = bytes.len().to_string();
        add(&mut |name, value| head.append_header(name, value).is_ok(), "Content-Length", &length)?;
    }
    let tls = scheme.eq_ignore_ascii_case("https");
    Ok(Call {
        line: 0,
        after: Duration::ZERO,
        leaves: None,
        takes: None,
        beside: false,
        tls,
        head,
        body: pieces(bytes, Duration::ZERO),
    })
}

/// The body of a request: its text, or the form that its parameters are.
fn posted(data: PostData) -> Result<Vec<u8>, String> {
    if let Some(text) = data.text {
        return decoded(text, data.encoding.as_deref());
    }
    let pairs: Vec<String> = data.params.iter().map(|param| format!("{}={}", param.name, param.value)).collect();
    Ok(pairs.join("&").into_bytes())
}

fn answer(response: Response, timings: &Timings) -> Result<Answer, String> {
    let status = u16::try_from(response.status).map_err(|_| format!("{} is no status", response.status))?;
    let mut head = ResponseHead::build(status, None).map_err(|error| format!("its response is not HTTP: {error}"))?;
    head.set_version(version(&response.http_version));
    if !response.status_text.is_empty() {
        head.set_reason_phrase(Some(response.status_text.trim())).map_err(|error| error.to_string())?;
    }
    for header in &response.headers {
        add(&mut |name, value| head.append_header(name, value).is_ok(), &header.name, &header.value)?;
    }
    let bytes = match response.content.text {
        Some(text) => decoded(text, response.content.encoding.as_deref())?,
        None => Vec::new(),
    };
    if !matches!(status, 204 | 304) {
        let length = bytes.len().to_string();
        add(&mut |name, value| head.append_header(name, value).is_ok(), "Content-Length", &length)?;
    }
    Ok(Answer {
        line: 0,
        upstream: ANY.to_owned(),
        endpoint: None,
        fault: None,
        slow: milliseconds(timings.wait),
        early: false,
        reused: false,
        trailers: None,
        heads: vec![head],
        body: pieces(bytes, milliseconds(timings.receive)),
    })
}

/// Adds a header, unless it is HTTP/2's or speaks of the connection.
fn add(append: &mut impl FnMut(String, &str) -> bool, name: &str, value: &str) -> Result<(), String> {
    let ours = name == "Content-Length";
    let dropped = name.starts_with(':') || (!ours && DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped)));
    if dropped && !ours {
        return Ok(());
    }
    // Exports join the values of a header that came more than once with line ends.
    for value in value.split('\n') {
        if !append(name.to_owned(), value.trim()) {
            return Err(format!("its header `{name}` is not HTTP"));
        }
    }
    Ok(())
}

fn decoded(text: String, encoding: Option<&str>) -> Result<Vec<u8>, String> {
    match encoding {
        Some("base64") => {
            BASE64_STANDARD.decode(text.trim()).map_err(|error| format!("its body is not base64: {error}"))
        }
        None | Some("") => Ok(text.into_bytes()),
        Some(other) => Err(format!("its body is in `{other}`, which is not known here")),
    }
}

fn pieces(bytes: Vec<u8>, pause: Duration) -> Vec<Piece> {
    if bytes.is_empty() { Vec::new() } else { vec![Piece { pause, bytes: Bytes::from(bytes) }] }
}

fn milliseconds(time: f64) -> Duration {
    Duration::try_from_secs_f64(time / 1000.0).unwrap_or_default().min(LONGEST)
}

/// The version that an export names, in any of the ways that are in use.
fn version(name: &str) -> Version {
    match name.to_ascii_lowercase().as_str() {
        "http/1.0" => Version::HTTP_10,
        "http/2" | "http/2.0" | "h2" | "http/3" | "http/3.0" | "h3" => Version::HTTP_2,
        _ => Version::HTTP_11,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::same::same;
    use super::super::write::write;
    use super::*;

    fn entry() -> Value {
        json!({
            "startedDateTime": "2026-02-03T04:05:06.789Z",
            "time": 321.5,
            "request": {
                "method": "POST", "url": "https://api.sea.example/v1/chat?beta=true#x", "httpVersion": "h2",
                "headers": [
                    {"name": ":authority", "value": "api.sea.example"},
                    {"name": "accept-encoding", "value": "gzip"},
                    {"name": "content-length", "value": "99"},
                ],
                "postData": {"mimeType": "application/json", "text": "{\"model\":\"m\"}"},
            },
            "response": {
                "status": 200, "statusText": "", "httpVersion": "HTTP/1.1",
                "headers": [{"name": "Content-Encoding", "value": "br"}, {"name": "Set-Cookie", "value": "a=1\nb=2"}],
                "content": {"size": 3, "mimeType": "image/png", "text": "AAEC", "encoding": "base64"},
            },
            "timings": {"send": 0, "wait": 250.4, "receive": 40},
        })
    }

    fn read_entries(entries: &[Value]) -> Read {
        read("t.har", &json!({"log": {"version": "1.2", "creator": {}, "entries": entries}}).to_string())
    }

    #[test]
    fn an_entry_is_a_recording_that_can_be_written() {
        let read = read_entries(&[entry()]);
        assert!(read.faults.is_empty(), "{:?}", read.faults);
        let recording = &read.recordings[0];
        let call = &recording.case.calls[0];
        assert_eq!((call.head.raw_path(), call.tls), (b"/v1/chat?beta=true".as_slice(), true));
        assert_eq!(
            (&call.head.headers["host"], &call.head.headers["content-length"]),
            (&"api.sea.example".parse().unwrap(), &"13".parse().unwrap())
        );
        let answer = &recording.case.answers[0];
        assert_eq!((answer.upstream.as_str(), answer.slow.as_millis()), ("*", 250));
        assert_eq!((&answer.body[0].bytes[..], answer.body[0].pause.as_millis()), (&[0, 1, 2][..], 40));
        assert!(!answer.heads[0].headers.contains_key("content-encoding"));
        assert_eq!(answer.heads[0].headers.get_all("set-cookie").iter().count(), 2);
        let mut rounded = recording.case.clone();
        rounded.answers[0].slow = Duration::from_millis(250);
        assert!(same(&super::super::read::read("t", &write(&rounded)).unwrap(), &rounded));
    }

    #[test]
    fn what_is_no_exchange_is_counted_and_what_is_faulty_is_told() {
        let (mut failed, mut socket, mut timeless, mut odd) = (entry(), entry(), entry(), entry());
        failed["response"]["status"] = 0.into();
        socket["_resourceType"] = "websocket".into();
        timeless["startedDateTime"] = "yesterday".into();
        odd["response"]["content"]["text"] = "?".into();
        let read = read_entries(&[failed, socket, timeless, entry(), odd, json!({})]);
        assert_eq!((read.skipped, read.recordings.len()), (2, 1));
        assert_eq!(read.recordings[0].id, "har-4");
        let faults: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
        for (fault, start) in
            faults.iter().zip(["t.har: entry 3: `yesterday`", "t.har: entry 5: its body", "t.har: entry 6: missing"])
        {
            assert!(fault.starts_with(start), "{faults:?}");
        }
        assert_eq!(faults.len(), 3);
    }

    #[test]
    fn a_file_that_is_no_har_is_a_fault() {
        assert!(read("t.har", "{\"log\":[]}").faults[0].to_string().starts_with("t.har:1:"));
    }
}
