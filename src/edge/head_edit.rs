//! Puts right two lines of a response head that the engine sets on its own: `Date` and `Connection`.

use bytes::BytesMut;
use memchr::memchr;

use crate::message::ResponseHead;

/// What the head about to be written should say instead.
#[derive(Debug)]
pub struct HeadEdit {
    /// The upstream's own `Date`, a whole line, which stays as it is (RFC 9110 §6.6.1: a date is added only where none
    /// came).
    pub date: Option<Vec<u8>>,
    /// Whether the client takes the connection to persist without being told (HTTP/1.1).
    pub persists: bool,
}

// === impl HeadEdit ===

impl HeadEdit {
    /// What `head` says itself, for a client that takes the connection to persist or not.
    pub fn of(head: &ResponseHead, persists: bool) -> Self {
        let date = head.headers.get("date").map(|date| {
            let spelled = head
                .case_header_iter()
                .map(|(name, _)| name.as_slice())
                .find(|name| name.eq_ignore_ascii_case(b"date"));
            [spelled.unwrap_or(b"Date"), b": ", date.as_bytes(), b"\r\n"].concat()
        });
        Self { date, persists }
    }

    /// Writes the head with those lines put right. Anything that does not look like a head is left alone.
    pub fn apply(&self, head: &[u8], out: &mut BytesMut) {
        out.reserve(head.len() + 32);
        let mut rest = head;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end + 1);
            match self.line(line) {
                Some(Line::Drop) => {}
                Some(Line::Date(date)) => out.extend_from_slice(date),
                None => out.extend_from_slice(line),
            }
            rest = tail;
        }
        out.extend_from_slice(rest);
    }

    fn line(&self, line: &[u8]) -> Option<Line<'_>> {
        match line.first()?.to_ascii_lowercase() {
            b'd' if starts(line, b"date:") => self.date.as_deref().map(Line::Date),
            b'c' if self.persists && line.eq_ignore_ascii_case(b"connection: keep-alive\r\n") => Some(Line::Drop),
            _ => None,
        }
    }
}

/// What becomes of a line.
enum Line<'a> {
    Drop,
    Date(&'a [u8]),
}

fn starts(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(edit: &HeadEdit, head: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        edit.apply(head, &mut out);
        out
    }

    #[test]
    fn the_upstreams_date_is_put_back() {
        let edit = HeadEdit { date: Some(b"date: yesterday\r\n".to_vec()), persists: true };
        let head = b"HTTP/1.1 200 OK\r\nDate: now\r\nX: 1\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(applied(&edit, head), &b"HTTP/1.1 200 OK\r\ndate: yesterday\r\nX: 1\r\n\r\n"[..]);
    }

    #[test]
    fn a_date_of_the_gates_own_stays_where_none_came() {
        let edit = HeadEdit { date: None, persists: false };
        let head = b"HTTP/1.1 200 OK\r\nDate: now\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(applied(&edit, head), &head[..]);
    }
}
