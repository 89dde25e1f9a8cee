//! How endpoints share requests, as it is seen from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::support::bundle::Bundled;
use crate::support::service::{Service, chat, json, say};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

fn services(count: usize) -> Vec<Service> {
    (0..count).map(|_| Service::saying(json(&chat("ok")))).collect()
}

fn settings(services: &[Service], more: &str) -> String {
    let urls: Vec<_> = services.iter().map(|service| format!("{{ url = \"{}\" }}", service.url())).collect();
    format!("[upstreams.up]\nendpoints = [{}]\n{more}\n", urls.join(", "))
}

fn counts(services: &[Service]) -> Vec<usize> {
    services.iter().map(Service::count).collect()
}

#[test]
fn turns_are_taken() {
    let services = services(3);
    let gate = Bundled::serve(&[("tidegate.toml", &settings(&services, "balance.by = \"round-robin\""))]);
    let mut talk = gate.talk();
    (0..12).for_each(|_| assert_eq!(talk.post(CHAT, &[], "{}").status, 200));
    assert_eq!(counts(&services), [4, 4, 4]);
    assert_eq!(gate.status()["upstreams"][0]["by"], "round-robin");
}

#[test]
fn the_one_that_is_busy_is_left_alone() {
    let release = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&release);
    let slow = Service::start(move |_, stream| {
        until(|| held.load(Ordering::SeqCst));
        say(stream, json(&chat("slow")))
    });
    let services = [slow, Service::saying(json(&chat("ok")))];
    let gate = Bundled::serve(&[("tidegate.toml", &settings(&services, "balance.by = \"least-busy\""))]);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut talk = gate.talk();
            while services[0].count() == 0 {
                talk.post(CHAT, &[], "{}");
            }
        });
        assert!(until(|| services[0].count() == 1));
        let before = services[1].count();
        let mut talk = gate.talk();
        (0..20).for_each(|_| assert_eq!(talk.post(CHAT, &[], "{}").status, 200));
        assert_eq!((services[0].count(), services[1].count() - before), (1, 20));
        release.store(true, Ordering::SeqCst);
        waiting.join().unwrap();
    });
}

#[test]
fn what_has_the_same_header_goes_to_the_same_endpoint() {
    let services = services(4);
    let more = "balance = { by = \"hash\", key = \"header:X-Room\" }";
    let gate = Bundled::serve(&[("tidegate.toml", &settings(&services, more))]);
    let mut homes = std::collections::BTreeSet::new();
    for room in 0..12 {
        let before = counts(&services);
        (0..5).for_each(|_| drop(gate.talk().post(CHAT, &[("X-Room", &room.to_string())], "{}")));
        let grown: Vec<_> = counts(&services).iter().zip(before).map(|(now, before)| now - before).collect();
        assert_eq!(grown.iter().max(), Some(&5), "{grown:?}");
        homes.insert(grown);
    }
    assert!(homes.len() > 1, "not all rooms are at one endpoint");
}

#[test]
fn a_conversation_stays_where_its_prompt_is_cached() {
    let services = services(4);
    let more = "balance = { by = \"hash\", key = \"prompt\" }";
    let gate = Bundled::serve(&[("tidegate.toml", &settings(&services, more))]);
    let mut used = 0_u32;
    for talk_number in 0..8 {
        let before = counts(&services);
        let mut messages = vec![
            json!({"role": "system", "content": "You are"}),
            json!({"role": "user", "content": format!("talk {talk_number}")}),
        ];
        for turn in 0..4 {
            messages.push(json!({"role": "assistant", "content": format!("turn {turn}")}));
            let body = json!({"model": "m", "messages": messages}).to_string();
            assert_eq!(gate.talk().post(CHAT, &[], &body).status, 200);
        }
        let grown: Vec<_> = counts(&services).iter().zip(before).map(|(now, before)| now - before).collect();
        assert_eq!(grown.iter().max(), Some(&4), "{grown:?}");
        used |= 1 << grown.iter().position(|count| *count == 4).unwrap();
    }
    assert!(used.count_ones() > 1);
    assert_eq!(services.iter().flat_map(Service::heard).count(), 32);
}

#[test]
fn a_plan_names_the_key_itself() {
    let services = services(4);
    let text = settings(&services, "balance.by = \"hash\"\n[[policies]]\nfile = \"p.lua\"");
    let lua = "return policy { api = 1, route = function(req) return { upstream = 'up', key = req.headers:get('x-tenant') } end }";
    let gate = Bundled::serve(&[("tidegate.toml", &text), ("p.lua", lua)]);
    for tenant in 0..12 {
        let before = counts(&services);
        (0..3).for_each(|_| drop(gate.talk().post(CHAT, &[("X-Tenant", &format!("t{tenant}"))], "{}")));
        assert!(counts(&services).iter().zip(before).any(|(now, before)| now - before == 3), "{tenant}");
    }
    assert!(counts(&services).iter().filter(|count| **count > 0).count() > 1, "by tenant, not by the one address");
}
