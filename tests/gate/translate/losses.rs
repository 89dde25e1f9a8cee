//! What a translation cannot carry: it is refused where the settings say so, told to policies, and logged.

use serde_json::Value;

use super::scenes::Scene;
use super::upstreams::Up;
use super::{gate, gate_with};
use crate::support::bundle::Bundled;
use crate::support::service::{Service, json};

/// A request with fields that Anthropic has no room for.
const LOSSY: &str =
    r#"{"model":"m","max_tokens":5,"seed":7,"logit_bias":{"1":2},"messages":[{"role":"user","content":"hi"}]}"#;

/// The same without them.
const PLAIN: &str = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;

const CHAT: &str = "/v1/chat/completions";

fn told(up: Up) -> Service {
    Service::saying(json(&up.whole(&Scene::named("text"))))
}

#[test]
fn a_loss_is_refused_where_the_settings_say_so() {
    let upstream = told(Up::Anthropic);
    let strict = gate("anthropic", &upstream, "losses = \"refuse\"");
    let said = strict.talk().post(CHAT, &[], LOSSY);
    assert_eq!(
        (said.status, &said.json()["error"]["code"]),
        (400, &Value::from("translation_loss")),
        "{}",
        said.text()
    );
    let message = said.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("seed") && message.contains("logit_bias"), "{message}");
    assert_eq!(upstream.count(), 0, "nothing is sent");
    assert_eq!(strict.talk().post(CHAT, &[], PLAIN).status, 200, "nothing is lost of this");
    let embed = r#"{"model":"m","input":["a"],"encoding_format":"float","user":"u"}"#;
    assert_eq!(strict.talk().post("/v1/embeddings", &[], embed).status, 400, "Anthropic has no embeddings");

    let lenient = gate("anthropic", &upstream, "losses = \"allow\"");
    assert_eq!(lenient.talk().post(CHAT, &[], LOSSY).status, 200);
    assert!(upstream.heard().last().unwrap().json().get("seed").is_none());
}

#[test]
fn a_policy_sees_what_an_attempt_loses_and_may_reject_it() {
    let upstream = told(Up::Anthropic);
    let lua = r#"return policy { api = 1, on_attempt = function(req, attempt)
      local lost = {}
      for _, loss in attempt.losses do table.insert(lost, loss.path .. "=" .. loss.verdict) end
      if #lost > 0 then reject { status = 422, message = "lost: " .. table.concat(lost, ",") } end
      req:json().metadata = { user_id = "from-a-policy" }
      req.headers:set("x-seen", req:json().messages[1].role)
    end }"#;
    let gate = gate_with("anthropic", &upstream, lua);
    let said = gate.talk().post(CHAT, &[], LOSSY);
    assert_eq!(said.status, 422, "{}", said.text());
    let message = said.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("seed=dropped") && message.contains("logit_bias=dropped"), "{message}");
    assert_eq!(upstream.count(), 0);
    assert_eq!(gate.talk().post(CHAT, &[], PLAIN).status, 200);
    let heard = &upstream.heard()[0];
    assert_eq!(heard.json()["metadata"]["user_id"], "from-a-policy", "an edit of the translated request is sent");
    assert_eq!(heard.header("x-seen"), Some("user"));
}

#[test]
fn an_attempt_that_loses_may_give_way_to_one_that_does_not() {
    let (anthropic, openai) = (told(Up::Anthropic), told(Up::Chat));
    let settings = format!(
        "[upstreams.a]\nurl = \"{}\"\ndialect = \"anthropic\"\n[upstreams.b]\nurl = \"{}\"\ndialect = \"openai\"\n[[policies]]\nfile = \"p.lua\"\n",
        anthropic.url(),
        openai.url()
    );
    let lua = r#"return policy { api = 1,
      route = function() return { { upstream = "a", model = "claude" }, { upstream = "b", model = "gpt" } } end,
      on_attempt = function(_req, attempt)
        if #attempt.losses > 0 then error("it would lose " .. attempt.losses[1].path) end
      end }"#;
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let said = gate.talk().post(CHAT, &[], LOSSY);
    assert_eq!((said.status, anthropic.count(), openai.count()), (200, 0, 1), "{}", said.text());
    let heard = openai.heard()[0].json();
    assert_eq!((&heard["seed"], &heard["model"]), (&Value::from(7), &Value::from("gpt")), "{heard}");
    assert_eq!(gate.talk().post(CHAT, &[], PLAIN).status, 200);
    assert_eq!((anthropic.count(), openai.count()), (1, 1));
    assert_eq!(anthropic.heard()[0].json()["model"], "claude");
}

#[test]
fn on_log_is_told_of_losses_and_usage() {
    let upstream = told(Up::Anthropic);
    let lua = r#"return policy { api = 1,
      on_log = function(exchange) if #exchange.attempts > 0 then store:set("seen", json.encode({ losses = exchange.losses, usage = exchange.usage })) end end,
      on_request = function(req) if req.path == "/seen" then return respond { status = 200, text = store:get("seen") or "" } end end }"#;
    let gate = gate_with("anthropic", &upstream, lua);
    assert_eq!(gate.talk().post(CHAT, &[], LOSSY).status, 200);
    let mut seen = String::new();
    assert!(crate::support::until(|| {
        seen = gate.talk().get("/seen", &[]).text();
        seen.contains("losses")
    }));
    let line: Value = serde_json::from_str(&seen).unwrap();
    assert!(line["losses"].to_string().contains("seed dropped"), "{line:#}");
    let scene = Scene::named("text");
    assert_eq!(
        (&line["usage"]["input"], &line["usage"]["cache_read"]),
        (&scene.input.into(), &scene.cached.into()),
        "{line:#}"
    );
}
