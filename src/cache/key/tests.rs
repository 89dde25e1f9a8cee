use std::time::Duration;

use serde_json::json;

use super::*;

const FORM: Form<'static> = Form {
    method: "POST",
    path: "/v1/embeddings",
    dialect: Some("openai.embeddings"),
    stream: Some(false),
    upstream: "up",
    model: None,
};

fn rule(parts: &[(&str, &str)], scope: Scope) -> CacheRule {
    CacheRule {
        key: parts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        texts: false,
        ttl: Duration::from_mins(1),
        scope,
        read: true,
        write: true,
        ..CacheRule::default()
    }
}

fn made(rule: &CacheRule, user: Option<&str>) -> Key {
    Key::new(rule.key.clone(), rule, user, "p", &FORM)
}

#[test]
fn requests_that_differ_in_one_thing_never_share_a_key() {
    let plain = rule(&[("model", "\"m\"")], Scope::User);
    let key =
        |rule: &CacheRule, user, policies, form: Form<'_>| Key::new(rule.key.clone(), rule, user, policies, &form);
    let all = [
        key(&plain, Some("ann"), "p1", FORM),
        key(&plain, Some("bob"), "p1", FORM),
        key(&plain, None, "p1", FORM),
        key(&plain, Some("ann"), "p2", FORM),
        key(&plain, Some("ann"), "p1", Form { path: "/v1/responses", ..FORM }),
        key(&plain, Some("ann"), "p1", Form { method: "GET", ..FORM }),
        key(&plain, Some("ann"), "p1", Form { stream: Some(true), ..FORM }),
        key(&plain, Some("ann"), "p1", Form { dialect: None, ..FORM }),
        key(&plain, Some("ann"), "p1", Form { model: Some("m"), ..FORM }),
        key(&plain, Some("ann"), "p1", Form { upstream: "other", ..FORM }),
        key(&rule(&[("model", "\"n\"")], Scope::User), Some("ann"), "p1", FORM),
        key(&rule(&[("mode", "l\"m\"")], Scope::User), Some("ann"), "p1", FORM),
        key(&rule(&[("model", "\"m\"")], Scope::Shared), Some("ann"), "p1", FORM),
    ];
    for (index, a) in all.iter().enumerate() {
        assert_eq!(a, &a.clone());
        for b in &all[index + 1..] {
            assert_ne!(a.hash, b.hash, "{a:?} {b:?}");
            assert!(!differs(a, b).is_empty());
        }
    }
}

#[test]
fn a_shared_answer_serves_every_user() {
    let shared = rule(&[], Scope::Shared);
    assert_eq!(made(&shared, Some("ann")), made(&shared, None));
}

#[test]
fn users_who_are_named_like_a_scope_stay_apart() {
    let own = rule(&[], Scope::User);
    let named = made(&own, Some("nobody"));
    assert_ne!(named.hash, made(&own, None).hash);
}

#[test]
fn a_difference_is_named_by_its_parts() {
    let a = made(&rule(&[("model", "1"), ("seed", "2")], Scope::User), Some("ann"));
    let b = made(&rule(&[("model", "3"), ("user", "4")], Scope::User), Some("bob"));
    assert_eq!(differs(&a, &b), ["model", "scope", "seed", "user"]);
    assert!(differs(&a, &a).is_empty());
}

#[test]
fn a_policy_cannot_speak_for_the_gate() {
    let forged = rule(&[("gate.path", "\"/other\"")], Scope::User);
    let key = made(&forged, None);
    assert_eq!(key, made(&rule(&[], Scope::User), None));
    assert_eq!(key.hash_hex().len(), 64);
}

#[test]
fn canonical_text_depends_on_content_only() {
    let a: Value = serde_json::from_str(r#"{"b": [1, 1.0, {"z":null,"a":"\u00e9\n"}], "a": 1e2}"#).unwrap();
    let b: Value = serde_json::from_str(r#"{"a":1e2,"b":[1,1.0,{"a":"é\n","z":null}]}"#).unwrap();
    assert_eq!(canonical(&a), canonical(&b));
    assert_eq!(canonical(&a), r#"{"a":100.0,"b":[1,1.0,{"a":"é\n","z":null}]}"#);
    assert_ne!(canonical(&json!([1, 2])), canonical(&json!([2, 1])), "arrays keep their order");
}

#[test]
fn a_text_s_key_has_all_that_makes_its_vector_what_it_is() {
    let of = |parts: &[(&str, &str)]| made(&rule(parts, Scope::User), None).of_text("\"tide\"", false);
    let plain = of(&[("model", "\"m\""), ("input", "[\"tide\",\"ebb\"]")]);
    assert_eq!(plain, of(&[("model", "\"m\""), ("input", "\"tide\"")]), "whichever batch it is in");
    assert_eq!(plain, of(&[("model", "\"m\""), ("prompt", "\"tide\"")]), "by any name");
    let query = of(&[("model", "\"m\""), ("input", "\"tide\""), ("prompt", "\"Represent this query: \"")]);
    assert_ne!(plain, query, "a prompt beside what is embedded");
}
