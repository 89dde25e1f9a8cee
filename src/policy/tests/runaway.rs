//! No policy outlives its deadline, and none takes the gate's memory.

use std::time::{Duration, Instant};

use super::support::{Gate, begin, hook, load_with, request, sources};
use crate::error::Kind;
use crate::policy::{Deadlines, HostLimits, PolicySet};

fn short() -> HostLimits {
    let ms = Duration::from_millis;
    HostLimits { deadlines: Some(Deadlines { burst: ms(20), total: ms(40), wall: ms(2000) }), ..HostLimits::default() }
}

fn set(body: &str) -> PolicySet {
    load_with(&Gate::new(), &sources(&[("p.lua", &hook("on_request", body))]), short())
}

/// Far above any deadline here, for machines that are busy with other things.
const LONGEST: Duration = Duration::from_secs(1);

/// How the hook ended, and after how long.
async fn run(body: &str) -> (Option<(Kind, u16, String)>, Duration) {
    let set = set(body);
    let started = Instant::now();
    let result = begin(&set, &request(&[], "")).on_request().await;
    let took = started.elapsed();
    (result.err().map(|error| (error.kind(), error.status(), error.to_string())), took)
}

async fn is_stopped(body: &str) {
    let (error, took) = run(body).await;
    let (kind, status, text) = error.unwrap_or_else(|| panic!("`{body}` was not stopped"));
    assert_eq!((kind, status), (Kind::PolicyTimeout, 503), "`{body}`: {text}");
    assert!(took < LONGEST, "`{body}` ran for {took:?}");
    assert!(text.contains("p.lua:1"), "{text}");
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    is_stopped("while true do end").await;
}

#[tokio::test]
async fn a_pattern_that_explodes_is_stopped() {
    is_stopped("return string.find(string.rep('a', 3000), '.-.-.-.-b$')").await;
}

#[tokio::test]
async fn pcall_cannot_swallow_the_deadline() {
    is_stopped("while true do pcall(function() while true do end end) end").await;
    is_stopped("while true do xpcall(function() while true do end end, function() while true do end end) end").await;
}

#[tokio::test]
async fn a_hook_that_swallowed_its_deadline_and_returned_has_failed_all_the_same() {
    is_stopped("pcall(function() while true do end end) return respond { text = 'through' }").await;
}

#[tokio::test]
async fn endless_recursion_is_stopped() {
    let (error, took) = run("local function f() return f() end return f()").await;
    assert!(error.is_some() && took < LONGEST, "{error:?} after {took:?}");
}

#[tokio::test]
async fn a_substitution_over_megabytes_is_stopped() {
    is_stopped("local s = string.rep('ab', 4000000) for i = 1, 100 do s:gsub('a', 'b') end").await;
}

#[tokio::test]
async fn filling_a_table_for_ever_is_stopped() {
    let (error, took) = run("local t = {} while true do t[#t + 1] = 1 end").await;
    assert!(error.is_some() && took < LONGEST, "{error:?} after {took:?}");
}

#[tokio::test]
async fn huge_built_in_calls_are_refused_at_once() {
    for body in [
        "return string.rep('x', 1e9)",
        "return ('x'):rep(5e7)",
        "local t = table.create(1e6, 1) table.sort(t)",
        "return table.concat(table.create(1e6, 'x'))",
        "return table.create(1e8)",
        "return table.clone(table.create(1e6, 1))",
        "return buffer.create(1e9)",
        "return table.move({}, 1, 1e9, 2)",
    ] {
        let (error, _) = run(body).await;
        let (kind, status, text) = error.unwrap_or_else(|| panic!("`{body}` was allowed"));
        assert_eq!((kind, status), (Kind::PolicyError, 500), "`{body}`: {text}");
        assert!(text.contains("p.lua:1"), "{text}");
    }
}

#[tokio::test]
async fn bounded_built_ins_still_work() {
    let body = "local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end)
        local u = table.move(t, 1, 3, 2, table.clone({9}))
        return respond { text = table.concat(t, '-') .. ('ab'):rep(2) .. table.concat(u, ',', 1, 2) }";
    assert_eq!(super::support::text(body).await, "3-2-1abab9,3");
}

#[tokio::test]
async fn other_exchanges_go_on_after_a_runaway() {
    let set = set("if req.headers:has('x-loop') then while true do end end return respond { text = 'fine' }");
    assert!(begin(&set, &request(&[("x-loop", "1")], "")).on_request().await.is_err());
    let answer = begin(&set, &request(&[], "")).on_request().await;
    assert!(matches!(answer, Ok(Some(answer)) if answer.body == "fine"));
}

#[tokio::test]
async fn a_vm_whose_memory_was_used_up_is_replaced_and_the_others_on_it_finish() {
    let gate = Gate::new();
    let body = "ctx.vars.n = 1
        if req.headers:has('x-hog') then
            local t = {} for i = 1, 1e6 do t[i] = string.rep('x', 60000) .. i end
        end
        upstream.call('mlx', {})
        return respond { text = 'fine' }";
    let second = Duration::from_secs(1);
    let deadlines = Some(Deadlines { burst: second, total: second, wall: 10 * second });
    let limits = HostLimits { memory: 16 * 1024 * 1024, deadlines, ..HostLimits::default() };
    let set = load_with(&gate, &sources(&[("p.lua", &hook("on_request", body))]), limits);
    gate.hold();
    let others: Vec<_> = (0..20)
        .map(|_| {
            let mut run = begin(&set, &request(&[], ""));
            tokio::spawn(async move { run.on_request().await.map(|answer| answer.map(|answer| answer.body)) })
        })
        .collect();
    tokio::task::yield_now().await;
    let hog = begin(&set, &request(&[("x-hog", "1")], "")).on_request().await;
    assert!(hog.is_err(), "the hog got through");
    gate.release();
    for other in others {
        let answer = other.await.expect("no panic");
        assert!(matches!(&answer, Ok(Some(body)) if body == "fine"), "{answer:?}");
    }
    assert_eq!(set.retired_vms(), 1);
}

#[tokio::test]
async fn a_loop_at_the_top_level_is_a_fault() {
    let source = "while true do end return policy { api = 1 }";
    let faults = super::support::faults(&sources(&[("p.lua", source)]));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("p.lua:1: ran for longer than"), "{faults:?}");
}

#[tokio::test]
async fn bytecode_is_never_taken_from_a_file() {
    let faults = super::support::faults(&sources(&[("p.lua", "\u{6}\u{3}\u{1}garbage")]));
    assert_eq!(faults.len(), 1);
}
