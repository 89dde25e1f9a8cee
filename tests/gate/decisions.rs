//! The shipped policies decide where calls go: by model, alias, pattern and prefix, by weight, and in reserve.

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat, json};

/// Three services behind the shipped policies.
struct Services {
    openai: Service,
    anthropic: Service,
    local: Service,
    gate: Bundled,
}

// === impl Services ===

impl Services {
    fn start() -> Self {
        let [openai, anthropic, local] = [(); 3].map(|()| Service::saying(json(&chat("hi"))));
        let settings = format!(
            "[upstreams.openai]\ndialect = \"openai\"\ndefault = true\nurl = \"{}\"\n\
             [upstreams.anthropic]\nurl = \"{}\"\n\
             [upstreams.local]\nurl = \"{}\"\n\
             [[policies]]\nfile = \"identify.lua\"\n\
             [[policies]]\nfile = \"route.lua\"\nparams.aliases = {{ fast = \"openai/gpt-4o-mini\", best = [\"anthropic/claude-opus-4\", \"openai/gpt-4o\"] }}\n\
             [[policies]]\nfile = \"failover.lua\"\n",
            openai.url(),
            anthropic.url(),
            local.url()
        );
        let gate = Bundled::shipped(&settings);
        Self { openai, anthropic, local, gate }
    }

    /// Asks for a model, and says which upstream got which model.
    fn goes(&self, path: &str, model: &str) -> (&'static str, String) {
        let before = [&self.openai, &self.anthropic, &self.local].map(Service::count);
        let body = format!("{{ \"n\": 1.0, \"model\": \"{model}\" ,\"stream\":false}}");
        let said = self.gate.talk().post(path, &[], &body);
        assert_eq!(said.status, 200, "{model}: {}", said.text());
        let all = [("openai", &self.openai), ("anthropic", &self.anthropic), ("local", &self.local)];
        let (name, upstream) =
            all.into_iter().zip(before).find(|((_, upstream), before)| upstream.count() > *before).unwrap().0;
        let heard = upstream.heard().pop().unwrap();
        let sent = heard.json()["model"].as_str().unwrap().to_owned();
        assert_eq!(
            heard.text(),
            body.replace(&format!("\"{model}\""), &format!("\"{sent}\"")),
            "all other bytes are kept"
        );
        (name, sent)
    }
}

#[test]
fn a_model_goes_to_its_upstream() {
    let services = Services::start();
    let chat = "/v1/chat/completions";
    let places = [
        (chat, "gpt-4o", "openai", "gpt-4o"),
        (chat, "GPT-4o", "openai", "GPT-4o"),
        (chat, "o3-mini", "openai", "o3-mini"),
        (chat, "ft:gpt-4o:org:x", "openai", "ft:gpt-4o:org:x"),
        ("/v1/embeddings", "text-embedding-3-small", "openai", "text-embedding-3-small"),
        ("/v1/messages", "claude-sonnet-4", "anthropic", "claude-sonnet-4"),
        (chat, "claude-sonnet-4", "anthropic", "claude-sonnet-4"),
        (chat, "qwen3:8b", "local", "qwen3:8b"),
        (chat, "org/model:7b", "local", "org/model:7b"),
        (chat, "local/org/model", "local", "org/model"),
        (chat, "openai/unheard-of", "openai", "unheard-of"),
        (chat, "fast", "openai", "gpt-4o-mini"),
        (chat, "FAST", "openai", "gpt-4o-mini"),
        (chat, "best", "anthropic", "claude-opus-4"),
        ("/api/chat", "whatever", "local", "whatever"),
    ];
    for (path, model, upstream, sent) in places {
        assert_eq!(services.goes(path, model), (upstream, sent.to_owned()), "{path} {model}");
    }
}

#[test]
fn an_unknown_model_is_told_in_the_clients_dialect() {
    let services = Services::start();
    let refused = services.gate.talk().post("/v1/chat/completions", &[], r#"{"model":"unheard-of"}"#);
    assert_eq!(refused.status, 404);
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("unheard-of"), "{}", refused.text());
    let refused = services.gate.talk().post("/v1/messages", &[], r#"{"model":"unheard-of"}"#);
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (404, &"not_found_error".into()));
    let services_asked = services.openai.count() + services.anthropic.count() + services.local.count();
    assert_eq!(services_asked, 0);
}

#[test]
fn a_plan_of_two_places_asks_the_second_when_the_first_fails() {
    let broken = Service::saying(answer(529, &[], r#"{"type":"error"}"#));
    let works = Service::saying(json(&chat("hi")));
    let settings = format!(
        "[upstreams.anthropic]\nurl = \"{}\"\n[upstreams.openai]\nurl = \"{}\"\n\
         [[policies]]\nfile = \"route.lua\"\nparams.aliases = {{ best = [\"anthropic/claude-opus-4\", \"openai/gpt-4o\"] }}\n\
         [[policies]]\nfile = \"failover.lua\"\n",
        broken.url(),
        works.url()
    );
    let gate = Bundled::shipped(&settings);
    let said = gate.talk().post("/v1/chat/completions", &[], r#"{"model":"best"}"#);
    assert_eq!(said.status, 200);
    assert_eq!(broken.heard()[0].json()["model"], "claude-opus-4");
    assert_eq!(works.heard()[0].json()["model"], "gpt-4o", "each attempt names its own model");
}

fn endpoints(list: &[(&Service, u32)]) -> Bundled {
    let endpoints: Vec<String> =
        list.iter().map(|(service, weight)| format!("{{ url = \"{}\", weight = {weight} }}", service.url())).collect();
    Bundled::shipped(&format!(
        "[upstreams.up]\nendpoints = [{}]\n[[policies]]\nfile = \"failover.lua\"\n",
        endpoints.join(", ")
    ))
}

#[test]
fn endpoints_share_the_work_by_weight() {
    let [one, two] = [(); 2].map(|()| Service::saying(json("{}")));
    let gate = endpoints(&[(&one, 3), (&two, 1)]);
    let mut talk = gate.talk();
    for _ in 0..400 {
        assert_eq!(talk.get("/", &[]).status, 200);
    }
    // Five standard deviations around 300 of 400.
    assert!((256..=344).contains(&one.count()), "{} of 400", one.count());
    assert_eq!(one.count() + two.count(), 400);
}

#[test]
fn a_reserve_is_asked_only_when_the_others_failed() {
    let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let works = std::sync::Arc::clone(&up);
    let one = Service::start(move |_, stream| {
        let status = if works.load(std::sync::atomic::Ordering::Relaxed) { 200 } else { 503 };
        crate::support::service::say(stream, answer(status, &[], "one"))
    });
    let reserve = Service::saying(answer(200, &[], "reserve"));
    let gate = endpoints(&[(&one, 1), (&reserve, 0)]);
    let mut talk = gate.talk();
    for _ in 0..50 {
        assert_eq!(talk.get("/", &[]).text(), "one");
    }
    up.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(talk.get("/", &[]).text(), "reserve");
    assert_eq!(reserve.count(), 1);
}
