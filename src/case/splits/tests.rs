//! The proofs on bundles that break them and on one that keeps them.

use super::cut::{Cut, cut_case};
use super::{Finding, MOST_PLACES, Splits, Streaming, Trouble, prove};
use crate::case::client::Got;
use crate::case::script::APART;
use crate::case::tests::{SETTINGS, bundle, case};
use crate::case::{Mishap, play};

/// Takes what comes at one moment for one piece, and clears words from the joined text of its events: a word that a
/// network cut in two passes.
const BY_PIECE: &str = r#"return policy {
  api = 1,
  on_event = function(ev, ctx)
    local together = ctx.vars.at == ctx.now
    ctx.vars.at = ctx.now
    ctx.vars.text = if together then ctx.vars.text .. ev.data else ev.data
    if string.find(ctx.vars.text, "secret", 1, true) then
      ctx.vars.text = ""
      return drop
    end
  end,
}
"#;

/// A stream of events that no dialect has, two of which make a word.
const STREAM: &str = "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\
    content-type: text/event-stream\n\ndata: the sec\n\ndata: ret is\n\ndata: out\n";

/// A chat that streams.
const CHAT: &str = r#"# A.
> client
POST /v1/chat/completions HTTP/1.1
content-type: application/json

{"model":"m","stream":true,"messages":[]}

< upstream sea
HTTP/1.1 200 OK
content-type: text/event-stream

data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"At"}}]}

data: {"choices":[{"index":0,"delta":{"content":" six."},"finish_reason":"stop"}]}

data: [DONE]
"#;

fn proved(policy: &str, text: &str) -> Splits {
    prove(&bundle(SETTINGS, &[("p.lua", policy)]), &[case(text)], MOST_PLACES, &|_, _| {})
}

#[test]
fn a_policy_that_takes_a_moment_for_a_piece_is_found_at_the_right_places() {
    let splits = proved(BY_PIECE, STREAM);
    let [Finding { offsets, around, trouble, .. }] = splits.findings.as_slice() else {
        panic!("{}", splits.to_text());
    };
    // The first event takes 15 bytes and the second 14: cut behind the first, or within the second, they come apart.
    assert_eq!(*offsets, [15..=28]);
    assert!(around.contains("sec\\n\\n|data: ret"), "{around}");
    let Trouble::Cut { late: true, call: 1, whole, cut } = trouble else { panic!("{trouble:?}") };
    assert!(cut.contains("ret is") && !whole.contains("ret is"), "{whole} / {cut}");
}

#[test]
fn bytes_that_are_cut_come_by_themselves_and_take_no_time() {
    let case = case(
        "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\ntransfer-encoding: chunked\n\nabcdef\n",
    );
    let streaming = Streaming::of(&case);
    let cut = cut_case(&streaming[0], Cut::EveryByte, APART);
    let played = play(&bundle(SETTINGS, &[]), &cut).unwrap();
    let pieces: Vec<_> = played.calls[0]
        .got
        .iter()
        .filter_map(|got| match got {
            Got::Piece(at, bytes) => Some((at.as_millis(), bytes.len())),
            _ => None,
        })
        .collect();
    assert_eq!(pieces, [(0, 1); 6]);
}

/// Keeps answers itself, and does not look whether they came to their end.
const OWN_CACHE: &str = r#"return policy {
  api = 1,
  on_request = function(req)
    local text = store:get("answer")
    if text then
      return respond { status = 200, headers = { ["content-type"] = "text/event-stream" }, text = text }
    end
  end,
  on_event = function(ev, ctx)
    ctx.vars.text = (ctx.vars.text or "") .. "data: " .. ev.data .. "\n\n"
  end,
  on_stream_end = function(_, ctx)
    store:set("answer", ctx.vars.text or "")
  end,
}
"#;

#[test]
fn an_answer_that_was_cut_and_kept_is_found() {
    let splits = proved(OWN_CACHE, CHAT);
    let kept = |finding: &&Finding| match &finding.trouble {
        Trouble::Mishap { call: 2, why, .. } => why.contains("kept"),
        _ => false,
    };
    let kept: Vec<&Finding> = splits.findings.iter().filter(kept).collect();
    assert_eq!(kept.len(), 3, "{}", splits.to_text());
    assert_eq!(splits.findings.len(), 3, "{}", splits.to_text());
}

#[test]
fn a_policy_that_fails_only_when_a_stream_breaks_is_found() {
    let policy = "return policy {\n  api = 1,\n  on_stream_end = function(stop)\n    if stop.reason ~= \"done\" then\n      \
                  error(\"not done\")\n    end\n  end,\n}\n";
    let splits = proved(policy, CHAT);
    assert!(!splits.findings.is_empty());
    for finding in &splits.findings {
        let Trouble::Mishap { fault: Mishap::Cut | Mishap::Stall | Mishap::Garbage, why, .. } = &finding.trouble else {
            panic!("{}", splits.to_text());
        };
        assert!(why.contains("the policy p fails in on_stream_end: not done"), "{why}");
    }
}

#[test]
fn an_event_that_is_no_json_when_a_stream_breaks_is_found() {
    let policy = "return policy {\n  api = 1,\n  on_stream_end = function(stop)\n    if stop.reason ~= \"done\" then\n      \
                  return { { data = \"sorry\" } }\n    end\n  end,\n}\n";
    let splits = proved(policy, CHAT);
    let why = splits.findings.iter().map(|finding| match &finding.trouble {
        Trouble::Mishap { why, .. } => why.as_str(),
        Trouble::Cut { .. } => "",
    });
    assert!(why.clone().count() > 0 && why.clone().all(|why| why.contains("not JSON: sorry")), "{}", splits.to_text());
}

#[test]
fn a_policy_that_looks_at_events_only_holds() {
    let policy = "return policy {\n  api = 1,\n  on_event = function(ev)\n    if ev.text then ev.text = string.upper(ev.text) end\n  \
                  end,\n}\n";
    let splits = proved(policy, CHAT);
    assert!(splits.hold(), "{}", splits.to_text());
    assert!(splits.plays > 150, "{} plays", splits.plays);
    assert!(splits.to_text().starts_with("1 case streams; "), "{}", splits.to_text());
}

#[test]
fn of_a_long_stream_every_so_many_places_are_cut_and_the_rest_is_told() {
    let bundle = bundle(SETTINGS, &[("p.lua", BY_PIECE)]);
    let splits = prove(&bundle, &[case(STREAM)], 10, &|_, _| {});
    // Of 39 places every fourth: 9 of them.
    assert_eq!(splits.left_out, 30);
    let places: Vec<usize> = splits.findings[0].offsets.iter().map(|range| *range.start()).collect();
    assert_eq!(places, [16, 20, 24, 28]);
}

#[test]
fn cases_without_streams_are_left_alone() {
    let splits = proved(BY_PIECE, "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\nok\n");
    assert_eq!((splits.cases, splits.plays), (0, 0));
    assert_eq!(splits.to_text(), "no case streams: there is nothing to cut\n");
}

#[test]
fn the_report_for_programs_names_the_places() {
    let json: serde_json::Value = serde_json::from_str(&proved(BY_PIECE, STREAM).to_json()).unwrap();
    assert_eq!(json["hold"], false);
    assert_eq!(json["findings"][0]["offsets"], serde_json::json!([[15, 28]]));
    assert_eq!(json["findings"][0]["trouble"]["late"], true);
}
