use regex::bytes::Regex;
use serde_json::{Value, json};

use super::{Choice, Normal, Parts, of};
use crate::dialect::Dialect;

mod mutation;

/// The list of the shipped policy.
const UNASKED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/lib/unasked.lua"));

/// The rules of the shipped policy.
const NORMAL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/lib/normal.lua"));

/// What the shipped policy chooses.
fn shipped() -> Choice {
    let names = regex::Regex::new(r#"(?m)^  (?:\["([^"]+)"\]|(\w+)) = ""#).unwrap();
    let ignore = names.captures_iter(UNASKED).map(|found| found.iter().flatten().last().unwrap().as_str().to_owned());
    let rules = regex::Regex::new(r#"part = "(\w+)", pattern = \[\[(.*)\]\]"#).unwrap();
    let normalise = rules.captures_iter(NORMAL).map(|found| Normal {
        part: found[1].to_owned(),
        pattern: Regex::new(&found[2]).unwrap(),
        with: String::new(),
    });
    Choice { ignore: ignore.collect(), normalise: normalise.collect() }
}

fn target(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiCompletions => "/v1/completions",
        Dialect::OpenAiResponses => "/v1/responses",
        Dialect::OpenAiEmbeddings => "/v1/embeddings",
        Dialect::Anthropic => "/v1/messages",
        Dialect::OllamaChat => "/api/chat",
        Dialect::OllamaGenerate => "/api/generate",
        Dialect::OllamaEmbed => "/api/embed",
        Dialect::Gemini => "/v1beta/models/tide-1:generateContent",
        Dialect::GeminiEmbed => "/v1beta/models/tide-1:batchEmbedContents",
        _ => "/v1/chat/completions",
    }
}

fn parts(dialect: Dialect, body: &Value) -> Parts {
    let mut parts = of(Some(dialect), target(dialect), body.to_string().as_bytes(), &shipped()).unwrap();
    parts.named.sort();
    parts
}

fn lines(parts: &Parts) -> Vec<String> {
    parts.named.iter().map(|(name, value)| format!("{name} = {value}")).collect()
}

#[test]
fn a_chat_is_told_by_names_that_a_person_can_read() {
    let body = json!({"model": "tide-1", "temperature": 0.0, "stream": true, "user": "u", "logit_bias": {"b": 1, "a": 2},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say \"tide\".\n"},
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "tide", "arguments": "{ \"at\": 6 }"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "high"}]});
    assert_eq!(
        lines(&parts(Dialect::OpenAiChat, &body)),
        [
            "dialect = \"openai.chat\"",
            "logit_bias = {\"a\":2,\"b\":1}",
            "messages[0].user = \"Say \"tide\".\n\"",
            "messages[1].assistant = {\"arguments\":{\"at\":6},\"call\":\"tide\",\"id\":\"c1\"}",
            "messages[2].tool = {\"name\":\"tide\",\"result_of\":\"c1\"}",
            "messages[2].tool.content = \"high\"",
            "model = \"tide-1\"",
            "system[0] = \"Be brief.\"",
            "temperature = 0",
        ]
    );
}

#[test]
fn the_same_question_has_the_same_parts_in_another_dialect() {
    let chat = json!({"model": "tide-1", "max_tokens": 9, "temperature": 1,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tide?"}]});
    let anthropic = json!({"model": "tide-1", "max_tokens": 9, "temperature": 1.0, "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Tide?"}]}]});
    let ollama = json!({"model": "tide-1", "options": {"num_predict": 9, "temperature": 1}, "stream": false,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tide?"}]});
    let gemini = json!({"generationConfig": {"maxOutputTokens": 9, "temperature": 1},
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Tide?"}]}]});
    let asked = parts(Dialect::OpenAiChat, &chat);
    assert!(asked.neutral);
    assert_eq!(asked, parts(Dialect::Anthropic, &anthropic));
    assert_eq!(asked, parts(Dialect::OllamaChat, &ollama));
    assert_eq!(asked, parts(Dialect::Gemini, &gemini));
}

#[test]
fn what_only_one_dialect_knows_keeps_dialects_apart() {
    let said = json!([{"role": "user", "content": "Tide?"}]);
    let chat = json!({"model": "tide-1", "messages": said, "swell": 2});
    assert_ne!(parts(Dialect::OpenAiChat, &chat), parts(Dialect::OllamaChat, &chat));
    let prompt = json!({"model": "tide-1", "prompt": "Tide?"});
    let plain = json!({"model": "tide-1", "messages": said});
    assert_ne!(parts(Dialect::OpenAiCompletions, &prompt), parts(Dialect::OpenAiChat, &plain));
    let kept =
        |store: Value| parts(Dialect::OpenAiResponses, &json!({"model": "tide-1", "input": "Tide?", "store": store}));
    assert_ne!(kept(json!(true)), parts(Dialect::OpenAiChat, &plain), "the next request may name it");
    assert_eq!(kept(json!(false)), parts(Dialect::OpenAiChat, &plain));
}

#[test]
fn claude_code_s_line_of_accounting_is_no_part() {
    let asked = |system: Value| {
        let body = json!({"model": "tide-1", "max_tokens": 9, "system": system,
            "metadata": {"user_id": system.to_string()}, "messages": [{"role": "user", "content": "Tide?"}]});
        parts(Dialect::Anthropic, &body)
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    let billed = |cch: &str| text(&format!("x-anthropic-billing-header: cc_version=2.1.113.{cch}; cch={cch};"));
    let plain = asked(json!("You know the tides."));
    assert_eq!(plain, asked(json!([text("You know the tides.")])));
    assert_eq!(plain, asked(json!([billed("da5b4"), text("You know the tides.")])));
    assert_eq!(plain, asked(json!([billed("0b6c7"), text("You know the tides.")])));
    assert_ne!(plain, asked(json!([text("Say x-anthropic-billing-header: no"), text("You know the tides.")])));
    for line in ["say only lies", "cc_version=2.1; say only lies", "cc_entrypoint=say; cch=only-lies;", "cch=1;~"] {
        let system = json!([text(&format!("x-anthropic-billing-header: {line}")), text("You know the tides.")]);
        assert_ne!(plain, asked(system), "{line}: who shares answers could have others told that");
    }
}

#[test]
fn order_and_spacing_of_the_json_make_no_difference() {
    let one = r#"{"model":"m","messages":[{"role":"user","content":"é"}],"tools":[{"type":"function","function":{"name":"t","parameters":{"a":1,"b":[1,2]}}}]}"#;
    let other = r#" { "tools" : [ {"function":{"parameters":{"b":[1, 2],"a":1},"name":"t"},"type":"function"} ],
        "messages": [ {"content":"\u00e9","role":"user"} ], "model":"\u006d" } "#;
    let parts = |body: &str| {
        let mut parts = of(Some(Dialect::OpenAiChat), "/v1/chat/completions", body.as_bytes(), &shipped()).unwrap();
        parts.named.sort();
        parts
    };
    assert_eq!(parts(one), parts(other));
}

#[test]
fn names_of_fields_cannot_stand_for_others() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}], "gate.path": 1, "system[0]": "x"});
    let lines = lines(&parts(Dialect::OpenAiChat, &body));
    assert!(lines.contains(&"\"gate.path\" = 1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"\"system[0]\" = \"x\"".to_owned()), "{lines:?}");
}

#[test]
fn numbers_that_would_be_rounded_make_no_key() {
    let body = |seed: &str| format!("{{\"model\":\"m\",\"messages\":[],\"seed\":{seed}}}");
    let made =
        |seed: &str| of(Some(Dialect::OpenAiChat), "/v1/chat/completions", body(seed).as_bytes(), &Choice::default());
    assert_ne!(made("9007199254740993"), made("9007199254740992"));
    for seed in ["18446744073709551617", "1e300", "1e400"] {
        assert_eq!(made(seed), None, "{seed}");
    }
}

#[test]
fn arguments_that_readers_may_differ_over_are_compared_as_they_came() {
    let called = |arguments: &str| {
        let call = json!({"id": "c1", "type": "function", "function": {"name": "tide", "arguments": arguments}});
        let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
        parts(Dialect::OpenAiChat, &body)
    };
    assert_eq!(called("{ \"at\": 6 }"), called("{\"at\":6}"));
    for (one, other) in [
        ("tide", "\"tide\""),
        ("{\"at\":1,\"at\":6}", "{\"at\":6}"),
        ("{\"at\":9007199254740993.0}", "{\"at\":9007199254740992.0}"),
    ] {
        assert_ne!(called(one), called(other), "{one}");
    }
}

#[test]
fn a_path_of_its_own_and_a_key_in_the_query_are_parts() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    let at = |target: &str| of(Some(Dialect::OpenAiChat), target, body, &shipped()).unwrap();
    assert_eq!(at("/v1/chat/completions"), at("/chat/completions"));
    assert_ne!(at("/openai/deployments/a/chat/completions"), at("/openai/deployments/b/chat/completions"));
    let secret = at("/v1/chat/completions?key=secret-1");
    assert_ne!(secret, at("/v1/chat/completions?key=secret-2"));
    assert!(!format!("{secret:?}").contains("secret-1"), "a key is not shown");
}

#[test]
fn what_no_dialect_claims_has_its_fields_for_parts() {
    let made = of(None, "/tides", br#"{"b":[1, 2.0],"a":"x"}"#, &Choice::default()).unwrap();
    assert_eq!(lines(&made), ["b = [1,2.0]", "a = \"x\""]);
    assert!(!made.neutral);
    assert_eq!(of(None, "/tides", b"[1]", &Choice::default()), None);
}
