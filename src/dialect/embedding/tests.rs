//! Embeddings keep their numbers and lose nothing in silence.

use serde_json::{Value, json};

use super::{Content, Embed, Vector, Vectors};
use crate::dialect::Dialect;
use crate::dialect::loss::{Losses, Verdict};

const OPENAI: Dialect = Dialect::OpenAiEmbeddings;
const OLLAMA: Dialect = Dialect::OllamaEmbed;
const OLD: Dialect = Dialect::OllamaEmbeddings;
const GEMINI: Dialect = Dialect::GeminiEmbed;

fn said(losses: &Losses) -> Vec<(&str, Verdict)> {
    losses.iter().map(|loss| (loss.path.as_str(), loss.verdict)).collect()
}

fn translated(from: Dialect, target: &str, body: Value, to: Dialect) -> (String, Value, Losses) {
    let mut losses = Losses::default();
    let outgoing = Embed::read(from, target, body).unwrap().write(to, &mut losses).unwrap();
    (outgoing.target, outgoing.body, losses)
}

/// An answer's way from one dialect to another, for a request of that one.
fn answered(from: Dialect, body: &str, to: Dialect, target: &str, request: Value) -> (String, Losses) {
    let mut losses = Losses::default();
    let asked = Embed::read(to, target, request).unwrap();
    let answer = Vectors::read(from, body.as_bytes()).unwrap().write(to, &asked, &mut losses).unwrap();
    (String::from_utf8(answer).unwrap(), losses)
}

#[test]
fn a_request_reaches_ollama_and_is_refused_when_too_long_as_openai_does() {
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u", "input_type": "query"});
    let (target, body, losses) = translated(OPENAI, "/v1/embeddings", body, OLLAMA);
    assert_eq!(target, "/api/embed");
    assert_eq!(body, json!({"model": "m", "input": ["a", "b"], "truncate": false, "dimensions": 8}));
    assert_eq!(said(&losses), [("user", Verdict::Dropped), ("input_type", Verdict::Dropped)]);
}

#[test]
fn a_request_reaches_gemini_alone_or_in_a_batch() {
    let (target, body, losses) = translated(OPENAI, "", json!({"model": "m", "input": "a", "dimensions": 8}), GEMINI);
    assert_eq!(target, "/v1beta/models/m:embedContent");
    assert_eq!(body, json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}));
    assert!(losses.is_empty());
    let (target, body, _) = translated(OLLAMA, "", json!({"model": "m", "input": ["a"]}), GEMINI);
    assert_eq!(target, "/v1beta/models/m:batchEmbedContents");
    assert_eq!(body, json!({"requests": [{"content": {"parts": [{"text": "a"}]}, "model": "models/m"}]}));
}

#[test]
fn a_model_s_name_survives_gemini_s_path() {
    let body = json!({"content": {"parts": [{"text": "a"}]}});
    let path = "/v1/projects/p/publishers/google/models/a%2Fb:embedContent?key=a:b";
    assert_eq!(Embed::read(GEMINI, path, body).unwrap().model, "a/b");
    let (target, _, _) = translated(OPENAI, "", json!({"model": "models/a/b?c", "input": "x"}), GEMINI);
    assert_eq!(target, "/v1beta/models/a%2Fb%3Fc:embedContent");
    for path in ["/v1beta/models/a%2:embedContent", "/v1beta/models/a%zz:embedContent", "/v1beta/x:embedContent"] {
        assert!(Embed::read(GEMINI, path, json!({"content": {"parts": []}})).is_err(), "{path}");
    }
}

#[test]
fn what_gemini_says_of_one_input_is_lost_elsewhere_with_its_place() {
    let body = json!({"requests": [
        {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8},
        {"model": "models/m", "content": {"parts": [{"text": "b"}]}, "outputDimensionality": 9, "taskType": "RETRIEVAL_QUERY"},
    ]});
    let (_, body, losses) = translated(GEMINI, "/v1beta/models/m:batchEmbedContents", body, OPENAI);
    assert_eq!(body, json!({"model": "m", "input": ["a", "b"]}));
    let dropped = ["requests[0].outputDimensionality", "requests[1].taskType", "requests[1].outputDimensionality"];
    assert_eq!(said(&losses), dropped.map(|path| (path, Verdict::Dropped)));
}

#[test]
fn ollama_s_older_call_says_that_its_vectors_change() {
    let (target, body, losses) = translated(OLD, "", json!({"model": "m", "prompt": "a", "keep_alive": "5m"}), OLLAMA);
    assert_eq!((target.as_str(), body), ("/api/embed", json!({"model": "m", "input": "a", "keep_alive": "5m"})));
    assert_eq!(said(&losses), [("prompt", Verdict::Approximated)]);
    let (target, body, losses) = translated(OLD, "", json!({"model": "m", "prompt": "a"}), OLD);
    assert_eq!((target.as_str(), body), ("/api/embeddings", json!({"model": "m", "prompt": "a"})));
    assert!(losses.is_empty());
}

#[test]
fn many_inputs_go_to_the_call_that_takes_them() {
    let (target, _, _) = translated(OPENAI, "", json!({"model": "m", "input": ["a", "b"]}), OLD);
    assert_eq!(target, "/api/embed");
}

#[test]
fn token_ids_are_refused_where_they_mean_nothing() {
    let embed = Embed::read(OPENAI, "", json!({"model": "m", "input": [[1, 2], [3]]})).unwrap();
    assert_eq!(embed.inputs[0].content, Content::Tokens(json!([1, 2])));
    let refused = embed.write(OLLAMA, &mut Losses::default()).unwrap_err();
    assert_eq!(refused.path, "input[0]");
    let single = Embed::read(OPENAI, "", json!({"model": "m", "input": [1, 2]})).unwrap();
    assert_eq!(single.write(OPENAI, &mut Losses::default()).unwrap().body["input"], json!([1, 2]));
}

#[test]
fn what_is_no_request_says_where() {
    let wrong = |dialect, body: Value| Embed::read(dialect, "/v1beta/models/m:embedContent", body).unwrap_err().path;
    assert_eq!(wrong(OPENAI, json!({"model": "m"})), "input");
    assert_eq!(wrong(OPENAI, json!({"model": 1, "input": "a"})), "model");
    assert_eq!(wrong(OPENAI, json!({"model": "m", "input": "a", "encoding_format": "hex"})), "encoding_format");
    assert_eq!(wrong(OLLAMA, json!({"model": "m", "input": ["a", 1]})), "input[1]");
    assert_eq!(wrong(GEMINI, json!({"requests": [{"model": "m"}]})), "requests[0].content");
    assert_eq!(wrong(GEMINI, json!([])), "");
}

#[test]
fn numbers_pass_as_the_text_they_are() {
    let body = r#"{"model":"n","embeddings":[[-0.00005498138,1.6613305807113647, 2e-3],[1]],"total_duration":5,"prompt_eval_count":7}"#;
    let (answer, losses) = answered(OLLAMA, body, OPENAI, "", json!({"model": "m", "input": ["a", "b"]}));
    assert_eq!(
        answer,
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[-0.00005498138,1.6613305807113647, 2e-3]},{"object":"embedding","index":1,"embedding":[1]}],"model":"n","usage":{"prompt_tokens":7,"total_tokens":7}}"#
    );
    assert_eq!(said(&losses), [("total_duration", Verdict::Dropped)]);
}

#[test]
fn base64_is_little_endian_floats_to_the_last_bit() {
    let body = r#"{"embedding":{"values":[1.0, -0.1,3e-41]}}"#;
    let ask = json!({"model": "m", "input": "a", "encoding_format": "base64"});
    let (answer, losses) = answered(GEMINI, body, OPENAI, "", ask);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["data"][0]["embedding"], "AACAP83MzL2hUwAA");
    assert_eq!(said(&losses), [("usage", Verdict::Invented)]);
    assert_eq!(answer["usage"]["prompt_tokens"], 1);
    let floats = Vector::Base64("AACAP83MzL2hUwAA".into()).floats(0).unwrap().get().to_owned();
    assert!(floats.starts_with("[1,-0.1,0.0000"), "{floats}");
    let again = Vectors::read(GEMINI, format!(r#"{{"embedding":{{"values":{floats}}}}}"#).as_bytes()).unwrap();
    assert_eq!(again.vectors[0].base64(0).unwrap(), "AACAP83MzL2hUwAA");
}

#[test]
fn what_is_no_vector_is_malformed() {
    for base64 in ["AAA", "AACAfw==", "AAAA", "not base64"] {
        assert!(Vector::Base64(base64.into()).floats(0).is_err(), "{base64}");
    }
    assert_eq!(Vector::Base64(String::new()).floats(0).unwrap().get(), "[]");
    for body in ["", "[]", r#"{"data":{}}"#, r#"{"data":[{"embedding":7}]}"#, r#"{"embeddings":[null]}"#] {
        assert!(Vectors::read(OPENAI, body.as_bytes()).is_err(), "{body}");
        assert!(Vectors::read(OLLAMA, body.as_bytes()).is_err(), "{body}");
        assert!(Vectors::read(GEMINI, body.as_bytes()).is_err(), "{body}");
    }
    let words = Vectors::read(OLLAMA, br#"{"embeddings":[["a"]]}"#).unwrap();
    assert!(words.vectors[0].base64(0).is_err());
}

#[test]
fn vectors_stand_in_the_order_of_their_inputs() {
    let body = r#"{"data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[0]}],"usage":{"total_tokens":3}}"#;
    let (answer, _) = answered(OPENAI, body, OLLAMA, "", json!({"model": "m", "input": ["a", "b"]}));
    assert_eq!(answer, r#"{"model":"m","embeddings":[[0],[1]],"prompt_eval_count":3}"#);
}

#[test]
fn a_single_vector_stands_where_its_dialect_has_it() {
    let body = r#"{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
    let (answer, _) = answered(OPENAI, body, OLD, "", json!({"model": "m", "prompt": "a"}));
    assert_eq!(answer, r#"{"embedding":[0.5]}"#);
    let ask = json!({"content": {"parts": [{"text": "a"}]}});
    let (answer, _) = answered(OPENAI, body, GEMINI, "/v1beta/models/m:embedContent", ask);
    assert_eq!(answer, r#"{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":3}}"#);
}

/// A body without what the dialect lets one leave out or say twice.
fn normal(mut body: Value) -> Value {
    let Value::Object(map) = &mut body else { return body };
    map.retain(|_, value| !value.is_null());
    if map.get("encoding_format").is_some_and(|format| format == "float") {
        map.remove("encoding_format");
    }
    let requests = map.get_mut("requests").and_then(Value::as_array_mut).into_iter().flatten();
    for request in requests.filter_map(Value::as_object_mut) {
        request.remove("model");
    }
    if let Some(content) = map.get_mut("content").and_then(Value::as_object_mut) {
        content.remove("role");
    }
    body
}

#[test]
fn recorded_embeddings_come_back_as_they_were() {
    let Ok(file) = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl"))
    else {
        eprintln!("skipped: no recorded traffic here");
        return;
    };
    let (mut requests, mut answers) = (0, 0);
    for line in file.lines().filter(|line| line.contains("embed")) {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let target = exchange["request"]["path"].as_str().unwrap_or_default();
        let Some(dialect) = Dialect::of_path(target.split('?').next().unwrap_or_default()) else { continue };
        if ![OPENAI, OLLAMA, OLD, GEMINI].contains(&dialect) || exchange["response"]["status"] != 200 {
            continue;
        }
        let id = exchange["id"].as_str().unwrap();
        let mut losses = Losses::default();
        let asked = Embed::read(dialect, target, exchange["request"]["body_json"].clone()).expect(id);
        let written = asked.write(dialect, &mut losses).expect(id);
        assert_eq!(normal(written.body), normal(exchange["request"]["body_json"].clone()), "{id}");
        requests += 1;
        let body = exchange["response"]["body_text"].as_str().unwrap();
        let vectors = Vectors::read(dialect, body.as_bytes()).expect(id);
        let written: Value = serde_json::from_slice(&vectors.write(dialect, &asked, &mut losses).expect(id)).unwrap();
        let mut expected: Value = serde_json::from_str(body).unwrap();
        if let Some(total) = expected.pointer("/usage/total_tokens").cloned() {
            expected["usage"].as_object_mut().unwrap().entry("prompt_tokens").or_insert(total);
        }
        assert!(written == expected, "{id}");
        assert!(losses.is_empty(), "{id}: {losses:?}");
        answers += 1;
    }
    eprintln!("embeddings: {requests} requests, {answers} answers");
    assert!(requests > 20 && answers > 20);
}
