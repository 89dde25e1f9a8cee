//! Streams that die on their way and go on at an upstream of any dialect: every client hears one whole answer.

use parking_lot::Mutex;

use super::breaks::{BREAKS, Break, start};
use super::clients::{CLIENTS, Client};
use super::scenes::{Scene, Stop};
use super::table::native;
use super::upstreams::{UPS, Up};
use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, say};
use crate::support::until;

/// What the next upstream says when the answer broke off within its second piece, and when it broke off behind it.
const REST: Scene = Scene {
    name: "rest",
    text: &[" at once.", " Surely."],
    calls: &[],
    stop: Stop::End,
    input: 30,
    cached: 0,
    output: 5,
};
const LESS: Scene = Scene { text: &[" Surely."], ..REST };

/// An upstream that goes on with what it is shown.
fn going_on(up: Up) -> Service {
    Service::start(move |heard, out| {
        let scene = if heard.text().contains("Both at once.") { LESS } else { REST };
        say(out, up.streamed(&scene, heard.number))
    })
}

/// A gate that asks `a` first and has `b` go on.
fn gate(a: (&Service, Up), b: (&Service, Up)) -> Bundled {
    let upstream = |name: &str, (service, up): (&Service, Up)| {
        format!(
            "[upstreams.{name}]\nurl = \"{}\"\ndialect = \"{}\"\ntimeouts.idle = \"300ms\"\n",
            service.url(),
            up.setting()
        )
    };
    let settings = format!("{}{}[[policies]]\nfile = \"p.lua\"\n", upstream("a", a), upstream("b", b));
    let lua = r#"return policy { api = 1,
      route = function(req)
        if req.path == "/seen" then return respond { text = store:get("seen") or "" } end
        return { { upstream = "a", continue_cut = "complete" }, { upstream = "b" } }
      end,
      failover = function(attempt) return { retry = attempt.committed and attempt.said.text > 0 and attempt.untried > 0 } end,
      on_log = function(exchange)
        if exchange.continued then
          local last = exchange.attempts[2]
          store:set("seen", `{exchange.continued} {exchange.attempts[1].error} {last.goes_on_after} {exchange.reason}`)
        end
      end }"#;
    Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)])
}

/// Whether these upstreams answer in the dialect that they are asked in: they know one each.
fn answers(client: Client, up: Up) -> bool {
    let borrowed = native(client, up) && up == Up::Ollama && client != Client::Ollama;
    let array = client == Client::GeminiArray && up == Up::Gemini;
    !borrowed && !array
}

#[test]
fn every_client_hears_one_answer_of_two_upstreams() {
    let wrong = Mutex::new(Vec::new());
    for (at, (up, how)) in UPS.into_iter().flat_map(|up| BREAKS.map(|how| (up, how))).enumerate() {
        let next = UPS[(at + at / UPS.len()) % UPS.len()];
        let (dying, living) = (start(up, how), going_on(next));
        let gate = gate((&dying, up), (&living, next));
        std::thread::scope(|clients| {
            for client in CLIENTS.into_iter().filter(|client| answers(*client, up) && answers(*client, next)) {
                let (gate, wrong) = (&gate, &wrong);
                clients.spawn(move || {
                    let said = gate.talk().post(client.path(true), &[], &client.body(true));
                    let heard = std::panic::catch_unwind(|| client.hear_stream(&said)).unwrap_or_default();
                    let usage = heard.usage.0 >= 30 || client == Client::Completions || client == Client::Chat;
                    if (heard.text.as_str(), heard.stop, usage) != ("Both at once. Surely.", Some(Stop::End), true) {
                        wrong
                            .lock()
                            .push(format!("{client:?}: {up:?}, {how:?}, then {next:?}: {heard:?} {}", said.text()));
                    }
                });
            }
        });
    }
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n----\n"));
}

#[test]
fn the_seam_is_logged_and_counted() {
    let (dying, living) = (start(Up::Chat, Break::CutBetween), going_on(Up::Anthropic));
    let gate = gate((&dying, Up::Chat), (&living, Up::Anthropic));
    let said = gate.talk().post(Client::Chat.path(true), &[], &Client::Chat.body(true));
    assert!(said.text().contains(" Surely."), "{}", said.text());
    assert!(
        until(|| gate.talk().get("/seen", &[]).text() == "1 reset 13 done"),
        "{}",
        gate.talk().get("/seen", &[]).text()
    );
    assert!(gate.metrics().contains("tidegate_continued_total 1"), "{}", gate.metrics());
    let asked = living.heard()[0].json();
    let turns = asked["messages"].as_array().unwrap();
    assert_eq!(turns[turns.len() - 2]["content"], "Both at once.", "{asked}");
}

#[test]
fn an_answer_that_nobody_goes_on_with_ends_with_one_error() {
    for up in UPS {
        let (dying, refusing) = (start(up, Break::CutBetween), Service::saying(answer(503, &[], "{}")));
        let gate = gate((&dying, up), (&refusing, Up::Anthropic));
        for client in CLIENTS.into_iter().filter(|client| answers(*client, up)) {
            let said = gate.talk().post(client.path(true), &[], &client.body(true));
            let (count, last) = super::breaks::told(client, &said);
            assert_eq!((count, last), (1, true), "{client:?} before {up:?}: {}", said.text());
        }
    }
}
