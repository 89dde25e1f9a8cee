//! Every hook on the running gate: in which order, on which path, what it may change.

mod events;
mod failing;
mod outside;

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chunked, json, say};

/// A policy whose hooks note their names; the response shows them.
fn tracing(name: &str) -> String {
    r#"
local function note(ctx, what)
  ctx.shared.trace = (if ctx.shared.trace then ctx.shared.trace .. " " else "") .. "NAME." .. what
end
return policy {
  api = 1,
  identify = function(_req, ctx) note(ctx, "identify") end,
  on_request = function(_req, ctx) note(ctx, "on_request") end,
  route = function(_req, ctx) note(ctx, "route") end,
  cache = function(_req, ctx) note(ctx, "cache") end,
  on_attempt = function(req, attempt, ctx)
    note(ctx, "on_attempt")
    req.headers:append("x-seen", `NAME{attempt.number}`)
  end,
  failover = function(_attempt, ctx) note(ctx, "failover") end,
  on_response = function(res, ctx)
    note(ctx, "on_response")
    res.headers:set("x-trace", ctx.shared.trace)
  end,
}
"#
    .replace("NAME", name)
}

#[test]
fn policies_run_top_to_bottom_on_the_way_in_and_bottom_to_top_on_the_way_out() {
    let upstream = Service::saying(json("{}"));
    let settings = format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"a.lua\"\n[[policies]]\nfile = \"b.lua\"\n",
        upstream.url()
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("a.lua", &tracing("a")), ("b.lua", &tracing("b"))]);
    let said = gate.talk().get("/", &[]);
    let expected = "a.identify b.identify a.on_request b.on_request a.route b.route a.cache b.cache a.on_attempt b.on_attempt \
                    b.on_response a.on_response";
    assert_eq!(said.header("x-trace"), Some(expected));
    let head = &upstream.heard()[0].head;
    assert!(head.find("x-seen: a1").unwrap() < head.find("x-seen: b1").unwrap(), "{head}");
}

#[test]
fn the_first_answer_wins_and_later_policies_are_not_asked() {
    let upstream = Service::saying(json("{}"));
    let first = "return policy { api = 1, identify = function() return { user = \"first\" } end, on_request = function(req) if req.path == \"/a\" then return respond { status = 203, text = \"mine\" } end end }";
    let second = "return policy { api = 1, identify = function() return { user = \"second\" } end,\n\
                  on_request = function(_req, ctx) ctx.shared.asked = true end,\n\
                  on_response = function(res, ctx) res.headers:set(\"x-asked\", `{ctx.shared.asked} {ctx.user} {res.served_by}`) end }";
    let settings = format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"a.lua\"\n[[policies]]\nfile = \"b.lua\"\n",
        upstream.url()
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("a.lua", first), ("b.lua", second)]);
    let mut talk = gate.talk();
    let said = talk.get("/a", &[]);
    assert_eq!((said.status, said.text().as_str()), (203, "mine"));
    assert_eq!(said.header("x-asked"), Some("nil first policy"));
    assert_eq!(talk.get("/b", &[]).header("x-asked"), Some("true first upstream"));
    assert_eq!(upstream.count(), 1, "what a policy answers reaches no upstream");
}

#[test]
fn route_may_answer_or_choose() {
    let (one, two) = (Service::saying(json("1")), Service::saying(json("2")));
    let settings = format!(
        "[upstreams.one]\nurl = \"{}\"\n[upstreams.two]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n",
        one.url(),
        two.url()
    );
    let lua = r#"return policy { api = 1, route = function(req)
      if req.path == "/no" then return respond { status = 402, json = { why = "no" } } end
      if req.path == "/nowhere" then return { upstream = "three" } end
      if req.path ~= "/nil" then return { upstream = string.sub(req.path, 2) } end
    end }"#;
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let mut talk = gate.talk();
    assert_eq!((talk.get("/one", &[]).text(), talk.get("/two", &[]).text()), ("1".into(), "2".into()));
    let said = talk.get("/no", &[]);
    assert_eq!((said.status, said.text().as_str()), (402, r#"{"why":"no"}"#));
    assert_eq!(talk.get("/nowhere", &[]).status, 500, "an upstream that does not exist is the policy's mistake");
    assert_eq!(talk.get("/nil", &[]).status, 404, "two upstreams, and none is the default");
}

#[test]
fn endpoints_are_served_here_and_know_parts_of_their_path() {
    let upstream = Service::saying(json("{}"));
    let lua = r#"return policy { api = 1, endpoints = {
      ["GET /who/{name}"] = function(req, ctx) return respond { json = { name = ctx.vars.path.name, method = req.method } } end,
      ["POST /sum"] = function(req) local body = req:json(); return respond { json = { sum = body.a + body.b } } end,
    } }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    assert_eq!(talk.get("/who/anna", &[]).json()["name"], "anna");
    assert_eq!(talk.post("/sum", &[], r#"{"a":2,"b":3}"#).json()["sum"], 5);
    assert_eq!(upstream.count(), 0);
    assert_eq!(talk.post("/who/anna", &[], "{}").text(), "{}", "another method goes on");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_request_edited_to_another_length_is_framed_anew() {
    let upstream = Service::saying(json("{}"));
    let lua = r#"return policy { api = 1, on_request = function(req)
      if req.path == "/grow" then req:json().more = string.rep("x", 5000) end
      if req.path == "/shrink" then req:json().text = nil end
      if req.path == "/replace" then req:set_text("other") end
    end }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    for path in ["/grow", "/shrink", "/same", "/replace"] {
        assert_eq!(talk.post(path, &[], "{ \"text\": \"some text\", \"n\": 1.0 }").status, 200);
    }
    let mut talk = gate.talk(); // nobody took the replaced body from the other one
    talk.send("POST /grow HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"n\":1.0\r\n1\r\n}\r\n0\r\n\r\n");
    assert_eq!(talk.read().status, 200);
    let heard: Vec<String> = upstream.heard().iter().map(crate::support::service::Heard::text).collect();
    assert_eq!(heard[0].len(), 5000 + 45, "{}", heard[0]);
    assert_eq!(heard[1], "{ \"n\": 1.0 }");
    assert_eq!(heard[3], "other");
    assert_eq!(heard[2], "{ \"text\": \"some text\", \"n\": 1.0 }");
    assert!(heard[4].starts_with("{\"n\":1.0") && heard[4].len() > 5000);
}

#[test]
fn a_response_edited_to_another_length_is_framed_anew() {
    let body = r#"{ "id": 9223372036854775807, "n": 1.0, "text": "some text" }"#;
    let upstream = Service::start(move |heard, stream| match heard.target() {
        "/chunked" => say(stream, chunked("application/json", body.as_bytes().chunks(7))),
        "/none" => say(stream, "HTTP/1.1 204 No Content\r\n\r\n"),
        _ if heard.head.starts_with("HEAD") => say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"),
        _ => say(stream, json(body)),
    });
    let lua = r#"return policy { api = 1, on_response = function(res)
      if res.status ~= 200 or not res.headers:has("content-type") then return end
      local body = res:json()
      body.text = string.rep("y", 3000)
    end }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    let expected = body.replace("some text", &"y".repeat(3000));
    for path in ["/plain", "/chunked"] {
        let said = talk.get(path, &[("Accept-Encoding", "gzip, br")]);
        assert!(said.whole && said.text() == expected, "{path}: {}", said.text());
    }
    assert_eq!(talk.get("/none", &[]).status, 204);
    talk.send("HEAD / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert!(talk.drop_head().starts_with("HTTP/1.1 200"));
    assert_eq!(talk.get("/plain", &[]).text(), expected, "the connection is in step after HEAD");
    assert!(
        upstream.heard().iter().all(|heard| heard.header("accept-encoding").is_none_or(|coding| coding == "identity")),
        "no body comes that no hook can read"
    );
}

#[test]
fn without_a_hook_on_responses_the_client_negotiates_its_own_coding() {
    let upstream = Service::saying(answer(200, &[("Content-Encoding", "gzip")], b"\x1f\x8b not looked at"));
    let gate = Bundled::policy(&upstream.url(), "", "return policy { api = 1, on_request = function() end }");
    let said = gate.talk().get("/", &[("Accept-Encoding", "gzip")]);
    assert_eq!(said.body, b"\x1f\x8b not looked at");
    assert_eq!(upstream.heard()[0].header("accept-encoding"), Some("gzip"));
}

#[test]
fn each_attempt_edits_a_fresh_copy() {
    let bad = Service::saying(answer(503, &[], ""));
    let good = Service::saying(json("{}"));
    let settings = format!(
        "[upstreams.bad]\nurl = \"{}\"\n[upstreams.good]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n",
        bad.url(),
        good.url()
    );
    let lua = r#"return policy { api = 1,
      route = function() return { { upstream = "bad", model = "m1" }, { upstream = "good" } } end,
      on_attempt = function(req, attempt, ctx)
        req.headers:append("x-try", attempt.upstream .. attempt.number)
        local body = req:json()
        body.tried = (body.tried or "") .. attempt.upstream
      end,
      failover = function() return { retry = true } end,
      on_response = function(res) res.headers:set("x-from", res.upstream) end,
    }"#;
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let said = gate.talk().post("/", &[], r#"{"model": "m0", "n": 1.0}"#);
    assert_eq!((said.status, said.header("x-from")), (200, Some("good")));
    let (first, second) = (&bad.heard()[0], &good.heard()[0]);
    assert_eq!((first.header("x-try"), second.header("x-try")), (Some("bad1"), Some("good2")));
    assert!(first.text().contains(r#""model": "m1", "n": 1.0"#) && first.text().contains("bad"), "{}", first.text());
    assert!(
        second.text().contains(r#""model": "m0", "n": 1.0"#) && !second.text().contains("bad"),
        "{}",
        second.text()
    );
}
