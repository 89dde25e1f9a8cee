//! What the commands that speak to a running gate share: one question to its admin address, and how the answer is told.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{StatusArgs, fail, print};

/// How long the gate may take to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the gate may take to answer: it may have to compile a bundle first.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer: its status and its body.
pub type Answered = io::Result<(u16, String)>;

/// Asks for a page.
pub fn get(admin: SocketAddr, path: &str) -> Answered {
    exchange(admin, &format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"))
}

/// Asks for something to be done.
pub fn post(admin: SocketAddr, path: &str, wish: &Value) -> Answered {
    let body = wish.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\nX-Tidegate-Admin: 1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(admin, &(head + &body))
}

/// Tells an answer: as it came with `--json`, in `lines` otherwise. Exit code 1 when the gate could not be reached, or
/// refused.
pub fn told(args: &StatusArgs, answered: Answered, lines: impl Fn(&Value) -> String) -> ExitCode {
    let (status, body) = match answered {
        Ok(answered) => answered,
        Err(error) => {
            fail(&format!(
                "no gate answers on {}: {error}; --admin or TIDEGATE_ADMIN names another address",
                args.admin
            ));
            return ExitCode::FAILURE;
        }
    };
    let value = match serde_json::from_str::<Value>(&body) {
        Ok(value) => value,
        Err(error) => return fail(&format!("{} is not a gate's admin address: {error}", args.admin)),
    };
    if status != 200 {
        if args.json {
            print(&body);
        } else {
            fail(&plain(value["error"].as_str().unwrap_or(&body)));
        }
        return ExitCode::FAILURE;
    }
    print(&if args.json { body } else { plain(&lines(&value)) });
    ExitCode::SUCCESS
}

/// A text without what a terminal would obey: parts of it are what clients and upstreams sent.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// A number with the word for what is counted: `1 case`, `2 cases`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A time to the second, however the gate said it: as HTTP does, or with parts of a second.
pub fn moment(time: &Value) -> String {
    let time = time.as_str().unwrap_or("?");
    let exact = match httpdate::parse_http_date(time) {
        Ok(time) => Timestamp::try_from(time),
        Err(_) => time.parse(),
    };
    let to_the_second = |time: Timestamp| Timestamp::from_second(time.as_second());
    exact.and_then(to_the_second).map_or_else(|_| time.to_owned(), |time| time.to_string())
}

fn exchange(admin: SocketAddr, request: &str) -> Answered {
    let mut stream = TcpStream::connect_timeout(&admin, CONNECT)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let read = || {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    };
    read().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{counted, moment, plain};

    #[test]
    fn a_time_is_told_in_one_way_to_the_second() {
        assert_eq!(moment(&json!("Sat, 21 Nov 2026 18:43:21 GMT")), "2026-11-21T18:43:21Z");
        assert_eq!(moment(&json!("2026-11-21T18:43:36.742411176Z")), "2026-11-21T18:43:36Z");
        assert_eq!(moment(&json!("never")), "never");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "case", "cases"), "1 case");
        assert_eq!(counted(0, "case", "cases"), "0 cases");
    }

    #[test]
    fn no_text_of_others_commands_the_terminal() {
        assert_eq!(plain("a\tb\n\u{1b}[31mc\u{9b}2J\r"), "a\tb\n\u{fffd}[31mc\u{fffd}2J\u{fffd}");
    }
}
