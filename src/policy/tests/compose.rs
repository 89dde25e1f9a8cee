//! How policies compose, what each hook may answer, and what its failure means.

use std::time::Duration;

use bytes::Bytes;

use super::support::{Gate, begin, body_of, hook, load, load_with, request, response, sources, with_on_error};
use crate::error::{Error, Fault, Kind};
use crate::exchange::decision::{Answer, Outcome, Place, PlannedAttempt, PlannedHold, Route, Scope};
use crate::policy::run::AttemptFacts;
use crate::policy::{Hook, HostLimits, OnError};
use crate::upstream::hold::{Hedge, Until};

pub(super) fn outcome() -> Outcome {
    Outcome {
        number: 1,
        upstream: "cloud".to_owned(),
        endpoint: "a".to_owned(),
        status: Some(429),
        error: None,
        retry_after: Some(Duration::from_secs(3)),
        took: Duration::from_millis(5),
        remaining: None,
        untried: 1,
        said: None,
    }
}

fn attempt<'a>(planned: &'a PlannedAttempt, number: u32, endpoint: &'a str) -> AttemptFacts<'a> {
    AttemptFacts { planned, number, endpoint, losses: None }
}

#[tokio::test]
async fn without_hooks_nothing_is_asked() {
    let set = load(&Gate::new(), &[("p.lua", "return policy { api = 1 }")]);
    assert!(Hook::ALL.into_iter().all(|hook| !set.has(hook)));
    let mut run = begin(&set, &request(&[], ""));
    assert_eq!(run.identify().await.expect("no error"), None);
    assert!(run.trace().is_empty());
}

#[tokio::test]
async fn the_first_answer_wins_and_the_rest_is_not_asked() {
    let gate = Gate::new();
    let none = hook("identify", "log.info('a')");
    let some = hook("identify", "log.info('b') return { user = 'ada', evidence = 'header' }");
    let late = hook("identify", "log.info('c') return { user = 'eve' }");
    let set = load(&gate, &[("a.lua", &none), ("b.lua", &some), ("c.lua", &late)]);
    let mut run = begin(&set, &request(&[], ""));
    let identity = run.identify().await.expect("no error").expect("an answer");
    assert_eq!((identity.user.as_deref(), identity.evidence.as_deref()), (Some("ada"), Some("header")));
    let said: Vec<_> = gate.logs.lock().iter().map(|line| line.message.clone()).collect();
    assert_eq!(said, ["a", "b"]);
    let steps = run.trace();
    let trace: Vec<_> = steps.iter().map(|step| (step.policy.as_str(), step.answered, step.place.0.as_str())).collect();
    assert_eq!(trace, [("a", false, "a.lua:1"), ("b", true, "b.lua:1")]);
}

#[tokio::test]
async fn requests_pass_top_to_bottom_and_responses_bottom_to_top() {
    let add = |name: &str| {
        format!(
            "return policy {{ api = 1,
            on_request = function(req) req.headers:append('x-path', '{name}') end,
            on_response = function(res) res.headers:append('x-path', '{name}') end }}"
        )
    };
    let (a, b) = (add("a"), add("b"));
    let set = load(&Gate::new(), &[("a.lua", &a), ("b.lua", &b)]);
    let (request, response) = (request(&[], ""), response(200, "{}"));
    let mut run = begin(&set, &request);
    run.on_request().await.expect("no error");
    run.on_response(&response).await.expect("no error");
    let path = |headers: &http::HeaderMap| {
        headers.get_all("x-path").iter().map(|v| v.to_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(path(&request.lock().head.headers), ["a", "b"]);
    assert_eq!(path(&response.lock().head.headers), ["b", "a"]);
}

#[tokio::test]
async fn route_answers_one_attempt_a_list_or_a_response() {
    let set = |body: &str| load(&Gate::new(), &[("p.lua", &hook("route", body))]);
    let one = begin(&set("return { upstream = 'mlx', model = 'q', timeout = 1.5 }"), &request(&[], "")).route().await;
    let Ok(Some(Route::Plan(plan))) = one else { panic!("{one:?}") };
    let expected = PlannedAttempt {
        upstream: "mlx".to_owned(),
        endpoint: None,
        model: Some("q".to_owned()),
        timeout: Some(Duration::from_millis(1500)),
        ..PlannedAttempt::default()
    };
    assert_eq!((plan.attempts, plan.decided_by), (vec![expected], Place("p.lua:1".to_owned())));
    let own =
        "timeouts = { connect = 1, first = 2 }, hold = { ['until'] = 'text', bytes = 9 }, hedge = { after = 0.5 }";
    let plan = begin(&set(&format!("return {{ upstream = 'a', {own} }}")), &request(&[], "")).route().await;
    let Ok(Some(Route::Plan(plan))) = plan else { panic!("{plan:?}") };
    let attempt = &plan.attempts[0];
    let timeouts = attempt.timeouts.as_deref().map(|timeouts| (timeouts.connect, timeouts.first, timeouts.idle));
    assert_eq!(timeouts, Some((Some(Duration::from_secs(1)), Some(Duration::from_secs(2)), None)));
    let hold = PlannedHold { until: Some(Until::Text), time: None, bytes: Some(9) };
    assert_eq!(attempt.hold.as_deref(), Some(&hold));
    assert_eq!(attempt.hedge, Some(Hedge { after: Duration::from_millis(500), most: 1 }));
    let list = begin(&set("return { { upstream = 'a' }, { upstream = 'b' } }"), &request(&[], "")).route().await;
    assert!(matches!(list, Ok(Some(Route::Plan(plan))) if plan.attempts.len() == 2));
    let answer = begin(
        &set("\nreturn respond { status = 404, json = { a = 1 }, headers = { ['x-a'] = 'b' } }"),
        &request(&[], ""),
    )
    .route()
    .await;
    let Ok(Some(Route::Answer(answer))) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.status, &answer.body[..], answer.made_by.0.as_str()), (404, &b"{\"a\":1}"[..], "p.lua:2"));
    assert_eq!(
        answer.headers,
        [("content-type".to_owned(), "application/json".to_owned()), ("x-a".to_owned(), "b".to_owned())]
    );
}

#[tokio::test]
async fn cache_answers_named_parts_in_canonical_form() {
    let body = "local b = req:json() return { key = { model = b.model, body = b, n = 1 }, ttl = 60, scope = 'shared', read = false }";
    let set = load(&Gate::new(), &[("p.lua", &hook("cache", body))]);
    let rule = begin(&set, &request(&[], r#"{"model":"m", "b":{"z":1.0,"a":2}}"#))
        .cache()
        .await
        .expect("no error")
        .expect("a rule");
    let part = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(
        rule.key,
        [part("body", r#"{"b":{"a":2,"z":1.0},"model":"m"}"#), part("model", "\"m\""), part("n", "1")]
    );
    assert_eq!((rule.ttl, rule.scope, rule.read, rule.write), (Duration::from_mins(1), Scope::Shared, false, true));
}

#[tokio::test]
async fn wrong_answers_are_errors_with_place_and_hint() {
    for (name, body, text) in [
        (
            "identify",
            "return { usr = 'x' }",
            "identify returned an identity with the unknown key `usr`; did you mean `user`?",
        ),
        ("identify", "return { user = 5 }", "identify returned an identity whose `user` is not a string"),
        ("identify", "return 'ada'", "identify must return nil or { user ="),
        ("route", "return { upsteam = 'x' }", "unknown key `upsteam`; did you mean `upstream`?"),
        ("route", "return { model = 'x' }", "returned an attempt without `upstream`"),
        ("route", "return { upstream = 'x', timeout = 'long' }", "whose `timeout` is not a number of seconds"),
        ("route", "return true", "route must return nil, an attempt"),
        ("on_request", "return { status = 401 }", "on_request must return nil or respond { … }, not table"),
        ("on_request", "return respond { stauts = 401 }", "respond: unknown key `stauts`; did you mean `status`?"),
        ("on_request", "return respond { status = 1000 }", "the status must be a whole number from 200 to 599"),
        ("on_request", "return req.headrs:get('x')", "req has no field `headrs`; did you mean `headers`?"),
        ("on_request", "return ctx.usr", "ctx has no field `usr`; did you mean `user`?"),
        ("on_attempt", "return true", "on_attempt must return nothing, not boolean"),
    ] {
        let set = load(&Gate::new(), &[("p.lua", &hook(name, body))]);
        let mut run = begin(&set, &request(&[], ""));
        let error = match name {
            "identify" => run.identify().await.map(|_| ()),
            "route" => run.route().await.map(|_| ()),
            "on_attempt" => run.on_attempt(&request(&[], ""), &attempt(&PlannedAttempt::default(), 1, "a")).await,
            _ => run.on_request().await.map(|_| ()),
        }
        .expect_err(body);
        assert!(error.to_string().contains(text), "{body}: {error}");
        assert!(error.to_string().contains("p.lua:1"), "{body}: {error}");
        assert_eq!(
            (error.fault(), error.kind(), error.status(), error.message()),
            (Fault::Policy, Kind::PolicyError, 500, "a policy failed")
        );
    }
}

#[tokio::test]
async fn a_failing_hook_has_its_stated_meaning() {
    let source = |name: &str| hook(name, "error('boom')");
    let run = |name: &str| begin(&load(&Gate::new(), &[("p.lua", &source(name))]), &request(&[], ""));
    assert_eq!(run("identify").identify().await.expect_err("fails").status(), 500);
    assert_eq!(run("on_request").on_request().await.expect_err("fails").status(), 500);
    assert_eq!(run("route").route().await.expect_err("fails").status(), 500);
    assert_eq!(run("cache").cache().await.expect("not cached"), None);
    assert!(run("failover").failover(&outcome()).is_err());
    assert_eq!(run("on_response").on_response(&response(200, "")).await.expect_err("fails").status(), 502);
    let draft = Answer { status: 500, headers: vec![], body: Bytes::from_static(b"draft"), made_by: Place::default() };
    assert_eq!(run("on_error").on_error(&Error::gate("x"), draft.clone()), draft);
    run("on_log").on_log(serde_json::json!({})).await;
    assert!(
        run("on_attempt").on_attempt(&request(&[], ""), &attempt(&PlannedAttempt::default(), 1, "a")).await.is_err()
    );
}

#[tokio::test]
async fn skip_goes_on_with_the_next_policy_and_fail_makes_a_lenient_hook_strict() {
    let bad = hook("identify", "error('boom')");
    let good = hook("identify", "return { user = 'ada' }");
    let files = [("a.lua", bad.as_str()), ("b.lua", good.as_str())];
    let skip = load_with(&Gate::new(), &with_on_error(sources(&files), OnError::Skip), HostLimits::default());
    let identity = begin(&skip, &request(&[], "")).identify().await.expect("skipped");
    assert_eq!(identity.and_then(|identity| identity.user), Some("ada".to_owned()));
    let cache = hook("cache", "error('boom')");
    let strict = with_on_error(sources(&[("p.lua", cache.as_str())]), OnError::Fail);
    let strict = load_with(&Gate::new(), &strict, HostLimits::default());
    assert!(begin(&strict, &request(&[], "")).cache().await.is_err());
}

#[tokio::test]
async fn failures_are_reported_with_file_line_and_traceback_and_the_client_is_told_nothing() {
    let gate = Gate::new();
    let set = load(&gate, &[("p.lua", &hook("on_request", "\n\nlocal function f() error('boom') end\nf()"))]);
    let error = begin(&set, &request(&[], "")).on_request().await.expect_err("fails");
    assert_eq!(error.message(), "a policy failed");
    assert_eq!(error.detail(), Some("policy p, on_request: p.lua:3: boom"));
    let reports = set.reports();
    assert_eq!(
        (reports[0].file.as_deref(), reports[0].line, reports[0].message.as_str()),
        (Some("p.lua"), Some(3), "boom")
    );
    assert!(reports[0].traceback.contains("p.lua:4"), "{}", reports[0].traceback);
    assert_eq!(gate.reports.lock().len(), 1);
}

#[tokio::test]
async fn only_the_newest_fifty_reports_are_kept() {
    let set = load(&Gate::new(), &[("p.lua", &hook("route", "error('boom')"))]);
    for _ in 0..60 {
        assert!(begin(&set, &request(&[], "")).route().await.is_err());
    }
    assert_eq!(set.reports().len(), 50);
}

#[tokio::test]
async fn reject_survives_pcall_and_is_told_to_the_client() {
    let body = "local ok, e = pcall(reject, { status = 402, code = 'no_credit', message = 'pay first' }) error(e)";
    let gate = Gate::new();
    let set = load_with(
        &gate,
        &with_on_error(sources(&[("p.lua", &hook("on_request", body))]), OnError::Skip),
        HostLimits::default(),
    );
    let error = begin(&set, &request(&[], "")).on_request().await.expect_err("rejected, whatever on_error says");
    assert_eq!(
        (error.fault(), error.kind(), error.status(), error.message()),
        (Fault::Client, Kind::Rejected, 402, "pay first")
    );
    assert!(gate.reports.lock().is_empty(), "a rejection is no failure");
}

#[tokio::test]
async fn an_auth_policy_that_fails_in_any_way_lets_nothing_through() {
    for body in [
        "error('x')",
        "while true do end",
        "return { stauts = 401 }",
        "return 'no'",
        "return respond { stauts = 401 }",
        "local x = nil x.y = 1",
        "return string.rep('x', 1e9)",
    ] {
        let set = load(&Gate::new(), &[("auth.lua", &hook("on_request", body))]);
        for _ in 0..6 {
            let result = begin(&set, &request(&[], "")).on_request().await;
            assert!(result.is_err(), "`{body}` let a request through");
        }
    }
}

#[tokio::test]
async fn failover_sees_the_outcome_and_answers() {
    let body = "assert(req.number == 1 and req.status == 429 and req.retry_after == 3 and req.kind == 'status' and req.untried == 1)
        return { retry = true, upstream = 'b', after = req.retry_after / 2 }";
    let set = load(&Gate::new(), &[("p.lua", &hook("failover", body))]);
    let answer = begin(&set, &request(&[], "")).failover(&outcome()).expect("no error").expect("an answer");
    assert_eq!(
        (answer.retry, answer.upstream.as_deref(), answer.after),
        (true, Some("b"), Duration::from_millis(1500))
    );
}

#[tokio::test]
async fn on_attempt_edits_its_own_copy() {
    let body = "assert(attempt.upstream == 'mlx' and attempt.number == 2 and attempt.endpoint == 'e1')
        req.headers:set('host', 'other') req:json().model = 'q'";
    let set = load(&Gate::new(), &[("p.lua", &hook("on_attempt", body))]);
    let (original, copy) = (request(&[], r#"{"model":"m"}"#), request(&[], r#"{"model":"m"}"#));
    let planned = PlannedAttempt { upstream: "mlx".to_owned(), ..PlannedAttempt::default() };
    begin(&set, &original).on_attempt(&copy, &attempt(&planned, 2, "e1")).await.expect("no error");
    assert_eq!((body_of(&original).as_str(), body_of(&copy).as_str()), (r#"{"model":"m"}"#, r#"{"model":"q"}"#));
}

#[tokio::test]
async fn deciding_hooks_cannot_edit() {
    for body in ["req.headers:set('a', 'b')", "req.method = 'GET'", "req:set_json({})", "req:json().model = 'x'"] {
        let set = load(&Gate::new(), &[("p.lua", &hook("route", body))]);
        let error = begin(&set, &request(&[], r#"{"model":"m"}"#)).route().await.expect_err("read only");
        assert!(error.to_string().contains("E_READ_ONLY"), "{body}: {error}");
    }
}

#[tokio::test]
async fn on_error_shapes_bottom_to_top() {
    let top = hook("on_error", "return respond { status = req.status, text = 'top(' .. req.text .. ')' }");
    let bottom = hook("on_error", "return respond { status = 418, text = req.kind .. ':' .. req.message }");
    let set = load(&Gate::new(), &[("top.lua", &top), ("bottom.lua", &bottom)]);
    let draft = Answer { status: 500, headers: vec![], body: Bytes::new(), made_by: Place::default() };
    let answer = begin(&set, &request(&[], "")).on_error(&Error::gate("oops"), draft);
    assert_eq!((answer.status, &answer.body[..]), (418, &b"top(internal:oops)"[..]));
}

#[tokio::test]
async fn endpoints_match_with_captures() {
    let policy = "return policy { api = 1, endpoints = {
        ['GET /-/usage/{user}'] = function(req, ctx) return respond { json = { user = ctx.vars.path.user, by = ctx.user } } end,
        ['GET /-/usage/all'] = function() return respond { text = 'all' } end,
    } }";
    let set = load(&Gate::new(), &[("p.lua", policy)]);
    assert!(set.match_endpoint("POST", "/-/usage/ada").is_none());
    assert!(set.match_endpoint("GET", "/-/usage/ada/x").is_none() && set.match_endpoint("GET", "/-/usage/").is_none());
    let mut run = begin(&set, &request(&[], ""));
    run.set_identity(crate::exchange::decision::Identity { user: Some("root".to_owned()), ..Default::default() });
    let matched = set.match_endpoint("GET", "/-/usage/ada").expect("a match");
    let answer = run.endpoint(matched).await.expect("no error").expect("an answer");
    assert_eq!(answer.body, r#"{"by":"root","user":"ada"}"#);
    let matched = set.match_endpoint("GET", "/-/usage/all").expect("a match");
    assert_eq!(run.endpoint(matched).await.expect("no error").expect("an answer").body, "all");
}

#[tokio::test]
async fn on_log_sees_the_summary() {
    let gate = Gate::new();
    let set = load(
        &gate,
        &[("p.lua", &hook("on_log", "log.info('done', { status = req.status, first = req.attempts[1].upstream })"))],
    );
    begin(&set, &request(&[], ""))
        .on_log(serde_json::json!({ "status": 200, "attempts": [{ "upstream": "mlx" }] }))
        .await;
    let logs = gate.logs.lock();
    assert_eq!(serde_json::to_string(&logs[0].fields).expect("json"), r#"{"first":"mlx","status":200}"#);
}
