//! Waits: they interleave, they end with the exchange, and where they cannot be they say so.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::support::{Gate, begin, hook, load, load_with, request, sources, text, text_with};
use crate::error::Kind;
use crate::message::{Body, Request, RequestHead, Shared};
use crate::policy::{Deadlines, HostLimits};

#[tokio::test]
async fn hooks_that_wait_interleave_on_one_vm() {
    let gate = Gate::new();
    let set = load(&gate, &[("p.lua", &hook("on_request", "upstream.call('mlx', {}) return respond { text = 'x' }"))]);
    gate.hold();
    let runs: Vec<_> = (0..10)
        .map(|_| {
            let mut run = begin(&set, &request(&[], ""));
            tokio::spawn(async move { run.on_request().await })
        })
        .collect();
    while gate.running.load(Ordering::SeqCst) < 10 {
        tokio::task::yield_now().await;
    }
    gate.release();
    for run in runs {
        assert!(run.await.expect("no panic").expect("no error").is_some());
    }
}

#[tokio::test]
async fn a_dropped_hook_ends_its_call() {
    let gate = Gate::new();
    let set = load(&gate, &[("p.lua", &hook("on_request", "upstream.call('mlx', {})"))]);
    gate.hold();
    let mut run = begin(&set, &request(&[], ""));
    let task = tokio::spawn(async move { run.on_request().await.map(|_| ()) });
    while gate.running.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    let ended = async {
        while gate.running.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), ended).await.expect("the call ended");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_waits_for_too_long_fails_with_503() {
    let gate = Gate::new();
    let set = load(&gate, &[("p.lua", &hook("route", "upstream.call('mlx', {})"))]);
    gate.hold();
    let error = begin(&set, &request(&[], "")).route().await.expect_err("too long");
    assert_eq!((error.kind(), error.status()), (Kind::PolicyTimeout, 503));
    assert_eq!(error.message(), "a policy took too long");
}

#[tokio::test]
async fn waiting_where_it_is_impossible_names_the_fix() {
    for body in [
        "table.sort({2, 1}, function(a, b) upstream.call('mlx', {}) return a < b end)",
        "string.gsub('x', 'x', function() upstream.call('mlx', {}) end)",
        "local t = setmetatable({}, { __index = function() return upstream.call('mlx', {}) end }) return t.x",
    ] {
        let result = text(body).await;
        assert!(
            result.contains("E_NO_YIELD") && result.contains("p.lua:1") && !result.contains("C-call"),
            "{body}: {result}"
        );
    }
    let found = super::support::faults(&sources(&[("p.lua", "upstream.call('mlx', {}) return policy { api = 1 }")]));
    assert!(
        found[0].contains("E_NO_YIELD: upstream.call() cannot wait in the top level of a file (p.lua:1)"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_hook_that_cannot_wait_refuses_even_what_is_there() {
    let policy = "return policy { api = 1,
        on_request = function(req, ctx) ctx.vars.req = req end,
        failover = function(_, ctx) return ctx.vars.req:json() end }";
    let set = load(&Gate::new(), &[("p.lua", policy)]);
    let mut run = begin(&set, &request(&[], "{}"));
    run.on_request().await.expect("no error");
    let error = run.failover(&super::compose::outcome()).expect_err("no waiting");
    assert!(error.to_string().contains("E_NO_YIELD: req:json() cannot wait in failover (p.lua:3)"), "{error}");
}

#[tokio::test]
async fn a_call_through_pcall_works_and_expected_failures_are_values() {
    let gate = Gate::new();
    gate.replies
        .lock()
        .push_back(Err(crate::policy::CallError { code: "timeout".to_owned(), message: "slow".to_owned() }));
    let body = "local ok, res, err = pcall(upstream.call, 'mlx', {}) assert(ok and res == nil)
        local res2 = upstream.call('mlx', { json = { a = 1 }, headers = { ['x-a'] = 'b', authorization = secret('key'):prefixed('Bearer ') } })
        return respond { text = err.code .. res2.status .. tostring(res2:json().ok) }";
    assert_eq!(text_with(&gate, body, &request(&[], "")).await, "timeout200true");
    let calls = gate.calls.lock();
    let sent = &calls[1].1;
    assert_eq!((sent.method.as_str(), &sent.body[..]), ("POST", &b"{\"a\":1}"[..]));
    assert!(sent.headers.contains(&("authorization".to_owned(), "Bearer sk-hidden".to_owned())));
}

#[tokio::test]
async fn a_body_on_the_wire_is_waited_for() {
    let set = load(&Gate::new(), &[("p.lua", &hook("route", "return { upstream = req:json().model }"))]);
    let head = RequestHead::build("POST", b"/", None).expect("a head");
    let message = Shared::new(Request { head, body: Body::Unread });
    let mut run = begin(&set, &message);
    let (route, ()) = tokio::join!(run.route(), async {
        message.wanted().await;
        message.fill(Body::Whole(Bytes::from_static(br#"{"model":"mlx"}"#)));
    });
    assert!(route.expect("no error").is_some());
}

#[tokio::test]
async fn get_and_set_across_a_wait_loses_updates_and_incr_does_not() {
    let gate = Gate::new();
    let body = "local n = store:get('n') or 0
        upstream.call('mlx', {})
        store:set('n', n + 1) store:incr('m')
        return respond { text = 'x' }";
    let set = load(&gate, &[("p.lua", &hook("on_request", body))]);
    gate.hold();
    let runs: Vec<_> = (0..100)
        .map(|_| {
            let mut run = begin(&set, &request(&[], ""));
            tokio::spawn(async move { run.on_request().await })
        })
        .collect();
    while gate.running.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    gate.release();
    for run in runs {
        run.await.expect("no panic").expect("no error");
    }
    let store = crate::policy::Services::store(&*gate);
    assert!(store.get("policy:p", "n").and_then(|n| n.as_f64()) < Some(100.0));
    assert_eq!(store.get("policy:p", "m").and_then(|m| m.as_f64()), Some(100.0));
}

#[tokio::test]
async fn work_left_for_later_runs_after_the_response_and_is_bounded() {
    let gate = Gate::new();
    let body =
        "for i = 1, 3 do ctx:after_response(function() upstream.call('mlx', {}) log.info('later', { i = i }) end) end
        local ok, err = pcall(function() for i = 1, 20 do ctx:after_response(function() end) end end)
        assert(not ok)";
    let set = load(&gate, &[("p.lua", &hook("on_request", body))]);
    let mut run = begin(&set, &request(&[], ""));
    run.on_request().await.expect("no error");
    assert!(run.has_work_left() && gate.logs.lock().is_empty());
    run.run_after().await;
    let logs = gate.logs.lock();
    assert_eq!(logs.len(), 3);
    assert_eq!((logs[0].policy.as_str(), logs[0].request_id.as_deref()), ("p", Some("req-1")));
}

#[tokio::test]
async fn background_work_is_listed_and_runs() {
    let gate = Gate::new();
    let policy = "return policy { api = 1, background = { { every = 30, name = 'models', run = function(ctx) store:set('ran', true) upstream.call('mlx', {}) end } } }";
    let set = load(&gate, &[("p.lua", policy)]);
    let jobs = set.background();
    assert_eq!(
        (jobs[0].policy.as_str(), jobs[0].name.as_str(), jobs[0].every),
        ("p", "models", Duration::from_secs(30))
    );
    set.run_background(&jobs[0]).await.expect("it runs");
    assert_eq!(crate::policy::Services::store(&*gate).get("policy:p", "ran"), Some(true.into()));
}

#[tokio::test]
async fn short_bursts_add_up_to_the_total() {
    let ms = Duration::from_millis;
    let limits = HostLimits {
        deadlines: Some(Deadlines { burst: ms(20), total: ms(20), wall: ms(3000) }),
        ..HostLimits::default()
    };
    let body = "while true do local x = 0 for i = 1, 100000 do x = x + i end upstream.call('mlx', {}) end";
    let set = load_with(&Gate::new(), &sources(&[("p.lua", &hook("on_request", body))]), limits);
    let started = std::time::Instant::now();
    let error = begin(&set, &request(&[], "")).on_request().await.expect_err("the total is used up");
    assert_eq!(error.kind(), Kind::PolicyTimeout);
    assert!(started.elapsed() < ms(3000), "{:?}", started.elapsed());
}
