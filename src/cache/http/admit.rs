//! Which answers may be kept (RFC 9111 §3), and which of their fields (§3.1).

use http::{HeaderMap, Method, StatusCode};

use super::directives::{Directives, Wishes};
use super::freshness::{self, Terms};
use super::range::Part;
use super::{Rule, field, status, target};

/// What must be known of a request to keep its answer.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Path and query.
    pub target: &'a str,
    /// `Host` or `:authority`.
    pub host: Option<&'a str>,
}

/// Headers in which clients show who they are. HTTP knows the first; the others are those of many services.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Fields that concern a connection, or a gate on the way.
const NOT_KEPT: [&str; 12] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "age",
    "content-length",
];

/// Whether an answer may be kept; why not otherwise.
pub fn check(
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    terms: &Terms,
    rule: Rule,
) -> Result<(), &'static str> {
    let (said, _) = freshness::directives(headers, rule);
    method(asked, headers, terms)?;
    if status.is_informational() || status == StatusCode::NOT_MODIFIED {
        return Err("its status is never stored");
    }
    if status == StatusCode::PARTIAL_CONTENT && Part::of(headers).is_none() {
        return Err("which part it is cannot be told");
    }
    if said.has("must-understand") {
        if !status::understood(status) {
            return Err("its status is not understood here");
        }
    } else if said.has("no-store") {
        return Err("the upstream forbids it");
    }
    if said.whole("private") {
        return Err("it is for one user");
    }
    if Wishes::of(asked.headers).no_store {
        return Err("the client forbids it");
    }
    personal(asked, headers, &said, terms)?;
    useful(headers, terms)
}

/// Answers to `GET`; and those to `POST` that say which URL they are the content of, and for how long (RFC 9110 §9.3.3).
fn method(asked: &Asked<'_>, headers: &HeaderMap, terms: &Terms) -> Result<(), &'static str> {
    let of_this_url = || {
        let said = field::only(headers, "content-location");
        said.and_then(|said| target::local(said, asked.target, asked.host)).is_some_and(|path| path == asked.target)
    };
    match *asked.method {
        Method::GET => Ok(()),
        Method::POST if terms.explicit && of_this_url() => Ok(()),
        _ => Err("its method is not stored"),
    }
}

/// Whether an answer may be one client's only (§3.5). What only guesses how long it is fresh must be nobody's at all.
fn personal(asked: &Asked<'_>, headers: &HeaderMap, said: &Directives, terms: &Terms) -> Result<(), &'static str> {
    let shared = ["public", "must-revalidate", "s-maxage"].iter().any(|name| said.has(name));
    if !shared && CREDENTIALS.iter().any(|name| asked.headers.contains_key(*name)) {
        return Err("it was made for credentials");
    }
    let cookies = asked.headers.contains_key("cookie") || headers.contains_key("set-cookie");
    if cookies && !terms.explicit && !said.has("public") && !terms.lifetime.is_zero() {
        return Err("it was made for cookies");
    }
    Ok(())
}

/// Whether an answer can serve without being asked for anew, or be asked about.
fn useful(headers: &HeaderMap, terms: &Terms) -> Result<(), &'static str> {
    let validator = headers.contains_key("etag") || headers.contains_key("last-modified");
    let fresh = terms.lifetime > terms.age_before && !terms.always_ask;
    if fresh || validator { Ok(()) } else { Err("it is stale at once") }
}

/// Whether a field of an answer is kept with it: not those of a connection, nor those that the answer takes out.
pub fn keeps(name: &str, said: &Directives) -> bool {
    let taken_out = |directive| said.fields(directive).iter().any(|field| field.eq_ignore_ascii_case(name));
    !NOT_KEPT.iter().any(|other| other.eq_ignore_ascii_case(name)) && !taken_out("no-cache") && !taken_out("private")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::freshness::Times;
    use super::*;

    const RULE: Rule = Rule { heuristic: true, surrogate: true };

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn kept(
        method: &Method,
        request: &[(&'static str, &'static str)],
        status: u16,
        answer: &[(&'static str, &'static str)],
    ) -> Result<(), &'static str> {
        let (request, answer) = (headers(request), headers(answer));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let status = StatusCode::from_u16(status).unwrap();
        let terms = Terms::of(&answer, status, Times { asked: now, came: now }, RULE);
        let asked = Asked { method, headers: &request, target: "/a?b", host: Some("gate.test") };
        check(&asked, status, &answer, &terms, RULE)
    }

    const HOUR: (&str, &str) = ("cache-control", "max-age=3600");

    #[test]
    fn any_final_status_is_kept_when_it_says_for_how_long() {
        for status in [200, 204, 299, 302, 404, 499, 500, 503, 599] {
            assert_eq!(kept(&Method::GET, &[], status, &[HOUR]), Ok(()), "{status}");
        }
        assert!(kept(&Method::GET, &[], 304, &[HOUR]).is_err());
        assert!(kept(&Method::GET, &[], 206, &[HOUR]).is_err(), "of which part nothing is known");
        assert!(kept(&Method::GET, &[], 599, &[("cache-control", "max-age=9, must-understand")]).is_err());
        assert_eq!(kept(&Method::GET, &[], 200, &[("cache-control", "max-age=9, must-understand, no-store")]), Ok(()));
    }

    #[test]
    fn what_is_forbidden_private_or_of_no_use_is_not_kept() {
        for control in ["max-age=9, no-store", "private, max-age=9", "max-age=0", "no-cache"] {
            assert!(kept(&Method::GET, &[], 200, &[("cache-control", control)]).is_err(), "{control}");
        }
        assert!(kept(&Method::GET, &[("cache-control", "no-store")], 200, &[HOUR]).is_err());
        assert_eq!(kept(&Method::GET, &[], 200, &[("cache-control", "no-cache"), ("etag", "\"a\"")]), Ok(()));
        assert_eq!(kept(&Method::GET, &[], 200, &[("cache-control", "private=\"a\", max-age=9")]), Ok(()));
    }

    #[test]
    fn credentials_keep_an_answer_out_unless_it_says_that_it_is_shared() {
        for name in ["authorization", "x-api-key"] {
            assert!(kept(&Method::GET, &[(name, "k")], 200, &[HOUR]).is_err());
            for control in ["max-age=9, public", "max-age=9, must-revalidate", "s-maxage=9"] {
                assert_eq!(kept(&Method::GET, &[(name, "k")], 200, &[("cache-control", control)]), Ok(()), "{control}");
            }
        }
    }

    #[test]
    fn a_guess_is_not_made_about_answers_with_cookies() {
        let changed = ("last-modified", "Sat, 01 Jan 2000 00:00:00 GMT");
        assert_eq!(kept(&Method::GET, &[], 200, &[changed]), Ok(()));
        assert!(kept(&Method::GET, &[("cookie", "a=b")], 200, &[changed]).is_err());
        assert!(kept(&Method::GET, &[], 200, &[changed, ("set-cookie", "a=b")]).is_err());
        assert_eq!(kept(&Method::GET, &[("cookie", "a=b")], 200, &[HOUR, ("set-cookie", "a=b")]), Ok(()));
    }

    #[test]
    fn a_post_is_kept_as_the_content_of_its_own_url() {
        assert_eq!(kept(&Method::POST, &[], 200, &[HOUR, ("content-location", "/a?b")]), Ok(()));
        assert!(kept(&Method::POST, &[], 200, &[HOUR, ("content-location", "/c")]).is_err());
        assert!(kept(&Method::POST, &[], 200, &[HOUR]).is_err());
        assert!(kept(&Method::PUT, &[], 200, &[HOUR, ("content-location", "/a?b")]).is_err());
    }

    #[test]
    fn fields_of_a_connection_and_those_taken_out_are_not_kept() {
        let said = Directives::of(&headers(&[("cache-control", "no-cache=\"A\", private=\"b\"")]));
        assert!(keeps("Content-Type", &said) && keeps("Set-Cookie", &said));
        assert!(!keeps("Keep-Alive", &said) && !keeps("a", &said) && !keeps("B", &said));
    }
}
