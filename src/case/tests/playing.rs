//! Playing: the gate's own code, the virtual clock, exact bytes, masked secrets.

use std::time::{Duration, Instant};

use super::super::{Player, play, play_all, render};
use super::{SETTINGS, bundle, case, shown};

#[test]
fn the_upstream_gets_head_and_body_byte_for_byte() {
    let shown = shown(
        "# A.\n> client\nPOST /a?b=%20 HTTP/1.1\nHost: gate.test\nX-Odd-CASE:  kept \nX-Two: 1\nX-Two: 2\n\n\
         {\"b\" :1.0 , \"a\":2}\n\n< upstream sea\nHTTP/1.1 200 Fine\nX-Answer: y\n\nok\n",
    );
    for part in [
        "    POST /a?b=%20 HTTP/1.1\n",
        "    X-Odd-CASE: kept\n    X-Two: 1\n    X-Two: 2\n",
        "\n    {\"b\" :1.0 , \"a\":2}\n= 200\n",
        "    X-Answer: y\n",
        "ended: done\n",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
}

#[test]
fn hours_of_waiting_take_no_time() {
    let before = Instant::now();
    let shown =
        shown("# A.\n> client after=2h\nGET /a HTTP/1.1\n\n< upstream sea slow=4s\nHTTP/1.1 200 OK\n\na\n~ 2s\nb\n");
    assert!(before.elapsed() < Duration::from_secs(5), "the clock is not virtual");
    assert!(shown.contains("= 200 after 4s\n= to the client after 4s\n"), "{shown}");
    assert!(shown.contains("    a\n    ~ 2s\n    b\n"), "{shown}");
}

#[test]
fn a_silent_endpoint_runs_into_the_settings_deadline() {
    let shown = shown("# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea fault=stall\n");
    assert!(shown.contains("= timeout: the upstream did not answer in time after 5s\n"), "{shown}");
    assert!(shown.contains("HTTP/1.1 504 Gateway Timeout"), "{shown}");
}

#[test]
fn an_upstream_that_is_not_scripted_refuses() {
    let shown = shown("# A.\n> client\nGET /a HTTP/1.1\n");
    assert!(shown.contains("    (no connection)\n= connect:"), "{shown}");
    assert!(shown.contains("(the case has no answer for it)"), "{shown}");
}

#[test]
fn an_answer_of_any_upstream_serves_whichever_has_none_of_its_own() {
    let answers = |first: &str, second: &str| {
        let text = format!(
            "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream {first}\nHTTP/1.1 200 OK\n\nfirst\n\n\
             < upstream {second}\nHTTP/1.1 200 OK\n\nsecond\n"
        );
        shown(&text)
    };
    let any = answers("*", "other");
    assert!(any.contains("= 200\n") && any.contains("    first\n"), "{any}");
    let own = answers("*", "sea/north");
    assert!(own.contains("    second\n") && own.ends_with("never asked for: < upstream *\n"), "{own}");
}

#[test]
fn an_answer_nobody_asks_for_is_shown() {
    let shown = shown(
        "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\n< upstream sea/south fault=reset\n",
    );
    assert!(shown.ends_with("never asked for: < upstream sea/south fault=reset\n"), "{shown}");
}

#[test]
fn a_body_that_breaks_off_breaks_off_for_the_client_too() {
    let shown = shown("# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea fault=cut\nHTTP/1.1 200 OK\n\nhalf\n");
    assert!(shown.contains("    half\n    (broken off after 0ms)\n"), "{shown}");
    assert!(shown.contains("ended: upstream_error (reset:"), "{shown}");
}

#[test]
fn secrets_are_shown_by_their_owner_only() {
    let shown = shown(
        "# A.\nset env SEA_KEY sk-of-the-owner\n> client\nGET /a?key=abc&x=sk-of-the-client HTTP/1.1\n\
         Authorization: Bearer sk-of-the-client\nCookie: a=b\n\n\
         < upstream sea\nHTTP/1.1 200 OK\nSet-Cookie: s=t\nX-Echo: sk-of-the-owner\n\nsk-of-the-owner\n",
    );
    for secret in ["sk-of-the-owner", "sk-of-the-client", "abc", "a=b", "s=t"] {
        assert!(!shown.contains(secret), "{secret} is in\n{shown}");
    }
    for part in ["x-api-key: *** (env:SEA_KEY)", "Authorization: *** (the client's)", "Set-Cookie: ***", "X-Echo: ***"]
    {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
}

#[test]
fn a_long_body_is_shown_by_its_ends() {
    let body = format!("begin {} end", "\u{e9}".repeat(3000));
    let shown = shown(&format!("# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\n{body}\n"));
    assert!(shown.contains("6010 bytes, blake3 ") && shown.contains(" end\n"), "{shown}");
    assert!(shown.len() < 3000, "{} bytes", shown.len());
}

#[test]
fn what_cannot_be_seen_is_drawn() {
    let shown = shown("# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea crlf\nHTTP/1.1 200 OK\n\na \nb\u{1b}\n");
    assert!(shown.contains("    a \u{240d}\n    b\u{241b}\n"), "{shown}");
}

#[test]
fn a_client_that_leaves_ends_the_exchange() {
    let shown = shown("# A.\n> client leaves=1s\nGET /a HTTP/1.1\n\n< upstream sea slow=2s\nHTTP/1.1 200 OK\n\nlate\n");
    assert!(shown.contains("= the client got nothing\nended: client_gone"), "{shown}");
}

#[test]
fn plays_on_many_threads_are_the_same_and_in_order() {
    let cases: Vec<_> = (0..24)
        .map(|n| {
            case(&format!("# A.\n> client\nGET /{n} HTTP/1.1\n\n< upstream sea slow={n}ms\nHTTP/1.1 200 OK\n\n{n}\n"))
        })
        .collect();
    let bundle = bundle(SETTINGS, &[]);
    let texts = || -> Vec<String> {
        let played = play_all(&bundle, &cases).into_iter();
        played.map(|played| render(&played.unwrap())).collect()
    };
    let first = texts();
    assert_eq!(first, texts());
    for (n, text) in first.iter().enumerate() {
        assert!(text.starts_with(&format!("> client: GET /{n}\n")), "{text}");
    }
}

#[test]
fn a_play_costs_little_more_than_its_exchange() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let bundle = crate::bundle::read(&dir).unwrap();
    let cases: Vec<_> = (0..200)
        .map(|n| {
            case(&format!(
                "# A.\nset param cache.ttl {}\n> client\nPOST /v1/chat/completions HTTP/1.1\n\n{{\"model\":\"gpt-4o\"}}\n\n\
                 < upstream openai\nHTTP/1.1 200 OK\ncontent-type: application/json\n\n{{}}\n",
                n % 4
            ))
        })
        .collect();
    let before = Instant::now();
    assert!(play_all(&bundle, &cases).iter().all(Result::is_ok));
    let took = before.elapsed();
    assert!(took < Duration::from_secs(10), "200 plays took {took:?}");
}

#[test]
fn what_one_case_sets_does_not_reach_another() {
    let policy = "local p = params { height = param.integer(1) }\nlocal count = 0\nreturn policy {\n  api = 1,\n  \
                  on_response = function(res)\n    count += 1\n    res.headers:set('x-tide', p.height)\n    \
                  res.headers:set('x-count', count)\n  end,\n}\n";
    let bundle = bundle(SETTINGS, &[("tide.lua", policy)]);
    let player = Player::new(&bundle);
    let get = "> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\nok\n";
    let shown = |set: &str| render(&player.play(&case(&format!("# A.\n{set}{get}"))).unwrap());
    for _ in 0..2 {
        assert!(shown("").contains("x-tide: 1\n    x-count: 1\n"), "{}", shown(""));
        assert!(shown("set param tide.height 3\n").contains("x-tide: 3\n    x-count: 1\n"));
        assert!(shown("set env SEA_KEY sk-of-the-owner\n").contains("x-tide: 1\n"));
    }
}

#[test]
fn a_parameter_of_no_policy_is_a_fault_of_the_case() {
    let case = case("# A.\nset param tide.height 3\n> client\nGET /a HTTP/1.1\n");
    let faults = play(&bundle(SETTINGS, &[]), &case).err().unwrap();
    assert_eq!(faults[0].to_string(), "t.http:2:1: the settings have no policy `tide`");
}

#[test]
fn decisions_stand_with_their_places() {
    let policy = "return policy {\n  api = 1,\n  identify = function(req)\n    return { user = 'ada', evidence = 'said so' }\n  \
                  end,\n  failover = function(attempt)\n    return { retry = attempt.number < 2, after = 0.5 }\n  end,\n}\n";
    let bundle = bundle(SETTINGS, &[("tide.lua", policy)]);
    let case = case(
        "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea/north fault=refuse\n\n< upstream sea/south\nHTTP/1.1 200 OK\n\nok\n",
    );
    let shown = render(&play(&bundle, &case).unwrap());
    assert!(shown.contains("identity: user ada by said so\nhooks: identify tide.lua\n"), "{shown}");
    assert!(shown.contains("; on in 500ms (tide.lua)\n< upstream sea/south\n"), "{shown}");
}
