//! Log probabilities: Gemini's `logprobsResult` and `OpenAI`'s `{"content": […]}`, which the model has.

use serde_json::{Value, json};

/// Reads Gemini's into `OpenAI`'s shape. Ids of tokens stay beside the names that `OpenAI` has.
pub(super) fn read(result: &Value) -> Value {
    let chosen = result.get("chosenCandidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let top = result.get("topCandidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let content = chosen.iter().enumerate().map(|(index, candidate)| {
        let others = top.get(index).and_then(|top| top.get("candidates")?.as_array()).into_iter().flatten();
        let mut token = openai_token(candidate);
        token["top_logprobs"] = others.map(openai_token).collect();
        token
    });
    json!({"content": content.collect::<Vec<_>>()})
}

/// Writes `OpenAI`'s shape as Gemini's.
pub(super) fn write(logprobs: &Value) -> Value {
    let tokens = logprobs.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let top = tokens.iter().map(|token| {
        let others = token.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
        json!({"candidates": others.map(google_token).collect::<Vec<_>>()})
    });
    json!({
        "topCandidates": top.collect::<Vec<_>>(),
        "chosenCandidates": tokens.iter().map(google_token).collect::<Vec<_>>(),
    })
}

/// Adds the tokens of a later chunk.
pub(super) fn append(so_far: &mut Value, mut more: Value) {
    for name in ["topCandidates", "chosenCandidates"] {
        if let (Some(Value::Array(so_far)), Some(Value::Array(more))) = (so_far.get_mut(name), more.get_mut(name)) {
            so_far.append(more);
        }
    }
}

fn openai_token(candidate: &Value) -> Value {
    let token = candidate.get("token").and_then(Value::as_str).unwrap_or_default();
    let mut out = json!({"token": token, "logprob": candidate.get("logProbability"), "bytes": token.as_bytes()});
    copy_id(candidate, &mut out);
    out
}

fn google_token(token: &Value) -> Value {
    let mut out = json!({"token": token.get("token"), "logProbability": token.get("logprob")});
    copy_id(token, &mut out);
    out
}

fn copy_id(from: &Value, to: &mut Value) {
    if let Some(id) = from.get("tokenId") {
        to["tokenId"] = id.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_their_alternatives_survive_both_ways() {
        let alternatives =
            json!([{"token": "a", "logProbability": -0.5, "tokenId": 7}, {"token": "é", "logProbability": -1.5}]);
        let google = json!({
            "topCandidates": [{"candidates": alternatives}],
            "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        });
        let openai = read(&google);
        assert_eq!(openai["content"][0]["top_logprobs"][1]["bytes"], json!([195, 169]));
        assert_eq!(write(&openai), google);
    }

    #[test]
    fn tokens_of_later_chunks_are_added() {
        let mut so_far = write(&json!({"content": [{"token": "a", "logprob": -1}]}));
        append(&mut so_far, write(&json!({"content": [{"token": "b", "logprob": -2}]})));
        assert_eq!(so_far["chosenCandidates"][1], json!({"token": "b", "logProbability": -2}));
    }
}
