use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::super::freshness::Times;
use super::super::{Rule, field, render, validate};
use super::*;

const RULE: Rule = Rule { heuristic: true, surrogate: true };

const GET: &Method = &Method::GET;

type Lines<'a> = &'a [(&'a str, &'static str)];

fn noon() -> SystemTime {
    field::date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap()
}

fn fields(lines: Lines<'_>) -> Vec<(String, Bytes)> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value.as_bytes()))).collect()
}

/// An answer that came at noon.
fn stored(status: u16, request: Lines<'_>, answer: Lines<'_>, body: &'static str) -> Arc<Stored> {
    let headers = validate::map(&fields(request));
    let asked = Asked { method: GET, headers: &headers, target: "/a", host: None };
    let times = Times { asked: noon(), came: noon() };
    let stored = Stored::new(&asked, StatusCode::from_u16(status).unwrap(), &fields(answer), times, RULE).unwrap();
    Arc::new(stored.with_body(Bytes::from_static(body.as_bytes())).unwrap())
}

/// What is decided so many seconds after noon.
fn chosen(variants: &Variants, method: &Method, request: Lines<'_>, after: u64) -> Choice {
    let headers = validate::map(&fields(request));
    let asked = Asked { method, headers: &headers, target: "/a", host: None };
    choose(&asked, &Wishes::of(&headers), variants, noon() + Duration::from_secs(after))
}

fn one(answer: Lines<'_>) -> (Arc<Stored>, Variants) {
    let stored = stored(200, &[], answer, "high tide");
    let variants = Variants::default().with(Arc::clone(&stored), &HeaderMap::new());
    (stored, variants)
}

const MINUTE: (&str, &str) = ("Cache-Control", "max-age=60");

#[test]
fn what_is_fresh_serves_get_and_head_and_nothing_else() {
    let (stored, variants) = one(&[MINUTE]);
    let serve = Choice::Serve(Arc::clone(&stored));
    assert_eq!(chosen(&variants, GET, &[], 59), serve);
    assert_eq!(chosen(&variants, &Method::HEAD, &[], 59), serve);
    assert_eq!(chosen(&variants, &Method::POST, &[], 0), Choice::Go(Why::Method));
    assert_eq!(chosen(&variants, GET, &[("If-Match", "\"a\"")], 0), Choice::Go(Why::Request));
    assert_eq!(chosen(&variants, GET, &[], 60), Choice::Ask(stored, Why::Stale));
    assert_eq!(chosen(&Variants::default(), GET, &[], 0), Choice::Go(Why::NothingKept));
}

#[test]
fn a_client_narrows_and_widens_what_may_serve() {
    let (stored, variants) = one(&[MINUTE]);
    let ask = |control: &'static str, after| chosen(&variants, GET, &[("Cache-Control", control)], after);
    let (serve, anew) = (Choice::Serve(Arc::clone(&stored)), Choice::Ask(Arc::clone(&stored), Why::Request));
    assert_eq!(ask("no-cache", 1), anew);
    assert_eq!((ask("max-age=5", 5), ask("max-age=5", 6)), (serve.clone(), anew.clone()));
    assert_eq!((ask("min-fresh=50", 10), ask("min-fresh=50", 11)), (serve.clone(), anew));
    assert_eq!((ask("max-stale=5", 65), ask("max-stale", 9999)), (serve.clone(), serve));
    assert_eq!(ask("max-stale=5", 66), Choice::Ask(stored, Why::Stale));
    assert_eq!(ask("no-store", 1), Choice::Go(Why::Request));
    assert_eq!(ask("only-if-cached", 60), Choice::Refuse);
}

#[test]
fn what_must_be_asked_about_is_not_served_stale_whatever_the_client_says() {
    let (stored, variants) = one(&[("Cache-Control", "max-age=60, must-revalidate, stale-while-revalidate=600")]);
    let ask = Choice::Ask(Arc::clone(&stored), Why::Stale);
    assert_eq!(chosen(&variants, GET, &[("Cache-Control", "max-stale")], 61), ask);
    assert_eq!(chosen(&variants, GET, &[], 61), ask);
    assert!(!may_stand_in(&stored, &Wishes::default(), false, noon()));
    let (stored, variants) = one(&[("Cache-Control", "no-cache, max-age=60"), ("ETag", "\"a\"")]);
    assert_eq!(chosen(&variants, GET, &[], 0), Choice::Ask(stored, Why::Stale));
}

#[test]
fn a_stale_answer_serves_while_it_is_asked_about_and_when_upstreams_fail() {
    let (stored, variants) = one(&[("Cache-Control", "max-age=60, stale-while-revalidate=10, stale-if-error=20")]);
    assert_eq!(chosen(&variants, GET, &[], 69), Choice::ServeAndAsk(Arc::clone(&stored)));
    assert_eq!(chosen(&variants, GET, &[], 70), Choice::Ask(Arc::clone(&stored), Why::Stale));
    let at = |after| noon() + Duration::from_secs(after);
    let wishes = Wishes::default();
    assert!(may_stand_in(&stored, &wishes, true, at(79)) && !may_stand_in(&stored, &wishes, true, at(80)));
    assert!(may_stand_in(&stored, &wishes, false, at(9999)), "nobody answers at all");
    let patient = Wishes { stale_if_error: Some(Duration::from_secs(90)), ..Wishes::default() };
    assert!(may_stand_in(&stored, &patient, true, at(149)));
}

#[test]
fn the_newest_answer_for_a_request_serves() {
    let old =
        stored(200, &[("foo", "1")], &[MINUTE, ("Vary", "Foo"), ("Date", "Sun, 01 Mar 2026 11:59:50 GMT")], "old");
    let new = stored(200, &[("foo", "1")], &[MINUTE, ("Vary", "Foo, Bar")], "new");
    let other = validate::map(&fields(&[("foo", "2")]));
    let variants = Variants::default().with(Arc::clone(&new), &other).with(old, &other);
    assert_eq!(chosen(&variants, GET, &[("foo", "1")], 1), Choice::Serve(new));
    assert_eq!(chosen(&variants, GET, &[("foo", "2")], 1), Choice::Go(Why::OtherVariant));
    let tagged = stored(200, &[("foo", "3")], &[MINUTE, ("Vary", "Foo"), ("ETag", "\"a\"")], "tagged");
    let variants = variants.with(tagged, &HeaderMap::new());
    assert_eq!(chosen(&variants, GET, &[("foo", "2")], 1), Choice::AskWhich("\"a\"".parse().unwrap()));
    assert_eq!(
        chosen(&variants, GET, &[("foo", "2"), ("If-None-Match", "\"b\"")], 1),
        Choice::Go(Why::OtherVariant),
        "the client has a question of its own"
    );
}

#[test]
fn a_new_answer_takes_the_place_of_those_that_it_makes_useless() {
    let request = validate::map(&fields(&[("foo", "1")]));
    let first = stored(200, &[("foo", "1")], &[MINUTE, ("Vary", "Foo")], "a");
    let second = stored(200, &[("foo", "1")], &[MINUTE, ("Vary", "Foo")], "b");
    let other = stored(200, &[("foo", "2")], &[MINUTE, ("Vary", "Foo")], "c");
    let variants = Variants::default().with(first, &request).with(Arc::clone(&other), &HeaderMap::new());
    let variants = variants.with(Arc::clone(&second), &request);
    assert_eq!(variants.iter().cloned().collect::<Vec<_>>(), [second, other]);
    let many = (0..40).fold(Variants::default(), |variants, _| {
        variants.with(stored(200, &[("foo", "1")], &[MINUTE, ("Vary", "Foo")], "a"), &HeaderMap::new())
    });
    assert_eq!(many.iter().count(), 32);
}

#[test]
fn a_part_serves_what_lies_in_it_or_who_asks_just_so() {
    let range = [("Range", "bytes=-5")];
    let part = stored(206, &range, &[MINUTE, ("Content-Range", "bytes 5-9/10")], "01234");
    let variants = Variants::default().with(Arc::clone(&part), &HeaderMap::new());
    for inside in ["bytes=-5", "bytes=6-8", "bytes=7-", "bytes=-1"] {
        assert_eq!(chosen(&variants, GET, &[("Range", inside)], 1), Choice::Serve(Arc::clone(&part)), "{inside}");
    }
    for outside in ["bytes=0-", "bytes=4-6", "bytes=-6"] {
        assert_eq!(chosen(&variants, GET, &[("Range", outside)], 1), Choice::Go(Why::Partial), "{outside}");
    }
    assert_eq!(chosen(&variants, GET, &[], 1), Choice::Go(Why::Partial));
}

/// Status, `Content-Range` and body of what a client gets.
fn sent(stored: &Stored, request: Lines<'_>) -> (u16, Option<String>, String) {
    let headers = validate::map(&fields(request));
    let asked = Asked { method: GET, headers: &headers, target: "/a", host: None };
    let (head, body) = render::answer(stored, &asked, noon() + Duration::from_secs(7)).unwrap();
    assert_eq!(head.headers["age"], "7");
    let range = head.headers.get("content-range").map(|value| value.to_str().unwrap().to_owned());
    (head.status.as_u16(), range, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn a_client_gets_all_a_part_or_that_nothing_changed() {
    let whole = stored(200, &[], &[MINUTE, ("ETag", "\"a\""), ("Content-Type", "text/plain")], "high tide");
    let ranged = |range: &str| Some(range.to_owned());
    assert_eq!(sent(&whole, &[]), (200, None, "high tide".to_owned()));
    assert_eq!(sent(&whole, &[("If-None-Match", "\"a\"")]), (304, None, String::new()));
    assert_eq!(sent(&whole, &[("Range", "bytes=5-")]), (206, ranged("bytes 5-8/9"), "tide".to_owned()));
    assert_eq!(sent(&whole, &[("Range", "bytes=9-")]), (416, ranged("bytes */9"), String::new()));
    let other = [("Range", "bytes=5-"), ("If-Range", "\"b\"")];
    assert_eq!(sent(&whole, &other), (200, None, "high tide".to_owned()));
    let missing = stored(404, &[], &[MINUTE, ("ETag", "\"a\"")], "no tide");
    let wanted = [("Range", "bytes=0-1"), ("If-None-Match", "\"a\"")];
    assert_eq!(sent(&missing, &wanted), (404, None, "no tide".to_owned()), "only what succeeded has parts");
    let part = stored(206, &[("Range", "bytes=5-8")], &[MINUTE, ("Content-Range", "bytes 5-8/9")], "tide");
    assert_eq!(sent(&part, &[("Range", "bytes=5-8")]), (206, ranged("bytes 5-8/9"), "tide".to_owned()));
    assert_eq!(sent(&part, &[("Range", "bytes=-2")]), (206, ranged("bytes 7-8/9"), "de".to_owned()));
}

#[test]
fn a_part_that_is_shorter_than_said_serves_only_what_is_there() {
    let part = stored(206, &[("Range", "bytes=-5")], &[MINUTE, ("Content-Range", "bytes 4-9/10")], "01234");
    assert_eq!(sent(&part, &[("Range", "bytes=6-8")]).2, "234");
    let variants = Variants::default().with(Arc::clone(&part), &HeaderMap::new());
    assert_eq!(chosen(&variants, GET, &[("Range", "bytes=9-9")], 1), Choice::Go(Why::Partial));
    assert!(Stored::clone(&part).with_body(Bytes::from_static(b"0123456")).is_none(), "or longer: then it is nothing");
}
