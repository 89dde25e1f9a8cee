//! A bundle is refused as a whole, with all its mistakes at once; parameters and secrets are checked before they serve.

use serde_json::json;

use super::support::{Gate, begin, faults, load, load_with, request, sources};
use crate::policy::{HostLimits, Sources, compile};

fn one(text: &str) -> Vec<String> {
    faults(&sources(&[("p.lua", text)]))
}

fn with_params(text: &str, params: &serde_json::Value) -> Sources {
    let mut sources = sources(&[("p.lua", text)]);
    sources.mounts[0].params = params.as_object().cloned().expect("an object");
    sources
}

#[test]
fn all_mistakes_of_all_files_are_reported_at_once() {
    let found = faults(&sources(&[
        ("a.lua", "return policy { api = 1,\n  identfy = function() end,\n  route = 5 }"),
        ("b.lua", "local x = = 1"),
        ("c.lua", "return { route = function() end }"),
        ("d.lua", "return policy { api = 2 }"),
        ("e.lua", "return policy { route = function() end }"),
        ("f.lua", "local t = nil\nreturn t.x"),
        ("lib/unused.lua", "return )"),
    ]));
    let expected = [
        "a.lua:2: there is no hook `identfy`; did you mean `identify`?",
        "a.lua:3: `route` must be a function, not number",
        "b.lua:1: ",
        "c.lua: a policy returns policy { api = 1, … }, not table",
        "d.lua:1: this gate knows `api = 1`",
        "e.lua: policy { … } needs `api = 1`",
        "f.lua:2: attempt to index nil with 'x'",
        "lib/unused.lua:1: ",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} against {expected}");
    }
}

#[test]
fn a_missing_file_names_the_nearest() {
    let mut sources = sources(&[("route.lua", "return policy { api = 1 }")]);
    sources.mounts[0].file = "rout.lua".to_owned();
    let found = faults(&sources);
    assert_eq!(found, ["tidegate.toml:10: policy `route`: there is no file rout.lua; did you mean `route.lua`?"]);
}

#[test]
fn require_finds_libraries_and_refuses_everything_else() {
    let good =
        "local a = require('./lib/a') local b = require('@bundle/lib/a.lua') assert(a == b) return policy { api = 1 }";
    load(
        &Gate::new(),
        &[("p.lua", good), ("lib/a.lua", "return { b = require('./b') }"), ("lib/b.luau", "return { 1 }")],
    );
    for (path, text) in [
        ("./lib/aa", "there is no file lib/aa.lua; did you mean `lib/a.lua`?"),
        ("../../etc/passwd", "leaves the bundle"),
        ("/etc/passwd", "a path starts with ./"),
        ("lib/a", "a path starts with ./"),
    ] {
        let policy = format!("local x = require('{path}') return policy {{ api = 1 }}");
        let found = faults(&sources(&[("p.lua", &policy), ("lib/a.lua", "return {}")]));
        assert!(found.len() == 1 && found[0].contains(text) && found[0].starts_with("p.lua:1"), "{found:?}");
    }
}

#[test]
fn a_circle_is_reported_with_its_path() {
    let found = faults(&sources(&[
        ("p.lua", "require('./lib/a') return policy { api = 1 }"),
        ("lib/a.lua", "require('./b') return {}"),
        ("lib/b.lua", "require('./a') return {}"),
    ]));
    assert!(found.iter().any(|fault| fault.contains("lib/a.lua -> lib/b.lua -> lib/a.lua")), "{found:?}");
}

#[test]
fn a_library_must_return_something_to_share() {
    let found =
        faults(&sources(&[("p.lua", "require('./lib/a') return policy { api = 1 }"), ("lib/a.lua", "return 5")]));
    assert!(found[0].contains("lib/a.lua must return a table or a function, not number"), "{found:?}");
}

const DECLARES: &str = "local p = params {
    header = param.string('x-user-id', { doc = 'who' }),
    mode = param.string('a', { values = { 'a', 'bb' } }),
    limit = param.integer(60, { min = 1, max = 100 }),
    models = param.list({}),
    prices = param.table({ a = 1 }),
    strict = param.boolean(false),
}
return policy { api = 1, on_request = function(req) return respond { json = { p.header, p.limit, #p.models, p.prices.a, p.strict } } end }";

#[tokio::test]
async fn parameters_give_the_configured_values() {
    let given = json!({ "limit": 5, "models": ["x", "y"], "prices": { "a": 2.5 } });
    let set = load_with(&Gate::new(), &with_params(DECLARES, &given), HostLimits::default());
    let answer = begin(&set, &request(&[], "")).on_request().await.expect("no error").expect("an answer");
    assert_eq!(answer.body, r#"["x-user-id",5,2,2.5,false]"#);
    assert_eq!(set.mounts()[0].params[0], ("header".to_owned(), "string", Some("who".to_owned())));
}

#[test]
fn parameters_are_checked_all_at_once() {
    let given = json!({ "limt": 5, "limit": 200, "mode": "ab", "models": "x", "strict": 1 });
    let found = faults(&with_params(DECLARES, &given));
    let has = |text: &str| assert!(found.iter().any(|fault| fault.contains(text)), "{text}: {found:#?}");
    has("tidegate.toml:10: policy `p`: p.lua has no parameter `limt`; did you mean `limit`?");
    has("the parameter `limit` must be at most 100");
    has("the parameter `mode` must be one of a, bb");
    has("the parameter `models` must be of type list, not string");
    has("the parameter `strict` must be of type boolean, not number");
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn a_parameter_without_a_default_is_required() {
    let found = one("local p = params { url = param.string() } return policy { api = 1 }");
    assert_eq!(found, ["tidegate.toml:10: policy `p`: the parameter `url` (string) is required"]);
}

#[test]
fn parameters_for_a_policy_that_declares_none_are_faults() {
    let found = faults(&with_params("return policy { api = 1 }", &json!({ "x": 1 })));
    assert!(found.len() == 1 && found[0].contains("has no parameter `x`"), "{found:?}");
}

#[test]
fn one_file_can_be_mounted_twice_with_its_own_values() {
    let text = "local p = params { n = param.integer(1) } return policy { api = 1, identify = function() return { user = tostring(p.n) } end }";
    let mut sources = with_params(text, &json!({ "n": 5 }));
    let mut second = sources.mounts[0].clone();
    (second.name, second.params) = ("q".to_owned(), serde_json::Map::new());
    sources.mounts.push(second);
    let set = load_with(&Gate::new(), &sources, HostLimits::default());
    assert_eq!(set.mounts().len(), 2);
}

#[test]
fn a_secret_that_does_not_exist_is_a_fault_and_used_ones_are_known() {
    let found = one("local k = secret('missing') return policy { api = 1 }");
    assert!(found[0].starts_with("p.lua:1: there is no secret `missing`"), "{found:?}");
    let good = "local p = params { k = param.secret('key') } return policy { api = 1 }";
    let compiled = compile(&sources(&[("p.lua", good)]), HostLimits::default()).expect("it compiles");
    assert_eq!(compiled.secrets_used().iter().collect::<Vec<_>>(), ["key"]);
}

#[test]
fn host_functions_that_need_a_gate_are_refused_at_the_top_level() {
    for call in
        ["store:get('x')", "log.info('x')", "limit.take('x', { rate = 1, per = 1 })", "math.random()", "clock.now()"]
    {
        let found = one(&format!("local x = {call} return policy {{ api = 1 }}"));
        assert!(found[0].contains("cannot be used while a file is loaded"), "{found:?}");
    }
}

#[test]
fn endpoints_and_background_are_checked() {
    let found =
        one("return policy { api = 1, endpoints = { ['usage'] = function() end }, background = { { every = 0 } } }");
    assert!(found.iter().any(|fault| fault.contains("`usage`: an endpoint is written")), "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("background work is written")), "{found:?}");
}
