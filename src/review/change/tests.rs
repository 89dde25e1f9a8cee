//! Phrases say the same wherever the same changed, and nothing that changed is left without one.

use super::changes;

const OLD: &str = "> client: POST /v1/chat/completions
identity: user ada by header x-user-id
hooks: identify identify.lua, route route.lua
plan: openai
cache: stored; 300s for user:ada
    gate.stream = false
    model = \"gpt-4o\"
< upstream openai/two
    POST /v1/chat/completions HTTP/1.1
    Host: 127.0.0.1:9102
    Content-Length: 24

    {\"model\":\"gpt-4o\",\"n\":1}
= 200
= to the client
    HTTP/1.1 200 OK
    x-cache: miss

    data: {\"delta\":{\"text\":\"At six.\"}}

    data: [DONE]
ended: done";

/// What changed when this was replaced in the snapshot.
fn told(replaced: &[(&str, &str)]) -> Vec<String> {
    let new = replaced.iter().fold(OLD.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    });
    changes(OLD, &new)
        .into_iter()
        .map(|change| match change.value {
            Some(value) => format!("{} ({value})", change.what),
            None => change.what,
        })
        .collect()
}

#[test]
fn a_header_is_named_with_the_message_it_is_in() {
    let sent = told(&[("    Content-Length: 24\n", "    Content-Length: 24\n    X-User: ada\n")]);
    assert_eq!(sent, ["header x-user added to what upstream openai is sent (ada)"]);
    let got = told(&[("    x-cache: miss\n", "")]);
    assert_eq!(got, ["header x-cache removed from what the client gets (miss)"]);
    let changed = told(&[("x-cache: miss", "x-cache: hit")]);
    assert_eq!(changed, ["header x-cache changed in what the client gets (miss \u{2192} hit)"]);
}

#[test]
fn answers_that_are_shared_from_now_on_are_told_first_and_in_so_many_words() {
    let shared = told(&[("300s for user:ada", "60s for everybody"), ("plan: openai", "plan: reserve")]);
    assert_eq!(
        shared,
        [
            "answers are now shared between users (user:ada \u{2192} everybody)",
            "plan: openai \u{2192} reserve",
            "time of the cache changed (300s \u{2192} 60s)",
        ]
    );
    let other = told(&[("300s for user:ada", "300s for user:ben")]);
    assert_eq!(other, ["for whom answers are kept changed (user:ada \u{2192} user:ben)"]);
    let uncached = OLD.replace("cache: stored; 300s for user:ada\n", "");
    let new = uncached.replace("plan: openai\n", "plan: openai\ncache: stored; 300s for everybody\n");
    let begun = changes(&uncached, &new);
    assert_eq!(begun.first().map(|change| change.what.as_str()), Some("answers are now shared between users"));
}

#[test]
fn json_is_told_by_path_and_what_follows_comes_last() {
    let told = told(&[("{\"model\":\"gpt-4o\",\"n\":1}", "{\"model\":\"o3\",\"t\":2}"), ("Length: 24", "Length: 20")]);
    let of = "the body of what upstream openai is sent";
    assert_eq!(
        told,
        [
            format!("`model` changed in {of} (\"gpt-4o\" \u{2192} \"o3\")"),
            format!("`n` removed from {of} (1)"),
            format!("`t` added to {of} (2)"),
            "header content-length changed in what upstream openai is sent (24 \u{2192} 20)".to_owned(),
        ]
    );
}

#[test]
fn an_event_of_a_stream_is_json_too_and_other_spelling_is_a_change() {
    let event = told(&[("At six.", "At seven.")]);
    assert_eq!(
        event,
        ["`delta.text` changed in the body of what the client gets (\"At six.\" \u{2192} \"At seven.\")"]
    );
    let spelled = told(&[("{\"model\":\"gpt-4o\",\"n\":1}", "{ \"model\":\"gpt-4o\",\"n\":1}")]);
    assert!(spelled[0].starts_with("body of what upstream openai is sent changed ("), "{spelled:?}");
}

#[test]
fn decisions_are_told_with_what_was_decided() {
    assert_eq!(told(&[("plan: openai", "plan: local")]), ["plan: openai \u{2192} local"]);
    assert_eq!(told(&[("cache: stored", "cache: hit")]), ["cache: stored \u{2192} hit"]);
    assert_eq!(
        told(&[("route route.lua", "route own.lua")]),
        ["hook route own.lua answers", "hook route route.lua answers no more"]
    );
    assert_eq!(told(&[("route.lua\n", "route.lua, failed cache c.lua\n")]), ["hook cache c.lua fails"]);
    assert_eq!(
        told(&[("    model = \"gpt-4o\"\n", "")]),
        ["cache key `model` removed from the cache's key (\"gpt-4o\")"]
    );
    assert_eq!(told(&[("ended: done", "ended: done\nlog: info p: x")]), ["log line added (info p: x)"]);
}

#[test]
fn another_status_makes_another_answer() {
    let told = told(&[
        ("HTTP/1.1 200 OK\n    x-cache: miss", "HTTP/1.1 502 Bad Gateway"),
        ("    data: {\"delta\":{\"text\":\"At six.\"}}\n\n    data: [DONE]", "    {\"error\":1}"),
    ]);
    assert_eq!(
        told,
        [
            "status of what the client gets: 200 OK \u{2192} 502 Bad Gateway",
            "another body of what the client gets ({\"error\":1})"
        ]
    );
}

#[test]
fn a_whole_attempt_or_call_is_one_change() {
    let attempt = "< upstream local/one\n    POST /api/chat HTTP/1.1\n    Host: a\n\n    {}\n= 200\n= to the client";
    let told_attempt = told(&[("= to the client", attempt)]);
    assert_eq!(told_attempt[0], "upstream local is asked (< upstream local/one)");
    assert!(told_attempt.iter().all(|what| !what.contains("header")), "{told_attempt:?}");
    let call = told(&[("ended: done", "ended: done\n\n> client: GET /x\nplan: local\nended: done")]);
    assert_eq!(call, ["a call more (> client: GET /x)"]);
}

#[test]
fn no_difference_is_without_a_change() {
    let lines: Vec<&str> = OLD.lines().collect();
    for index in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(index);
        let mut other = lines.clone();
        other[index] = "    other";
        for new in [fewer.join("\n"), other.join("\n")] {
            if new != OLD {
                assert!(!changes(OLD, &new).is_empty(), "line {index}: {new}");
                assert!(!changes(&new, OLD).is_empty(), "line {index}: {new}");
            }
        }
    }
    assert!(changes(OLD, OLD).is_empty());
}
