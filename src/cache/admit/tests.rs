use super::*;

fn head_of(status: u16, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    head(status, headers.iter().map(|(name, value)| (*name, value.as_bytes())))
}

#[test]
fn only_a_plain_200_is_kept() {
    assert_eq!(head_of(200, &[("Content-Type", "application/json"), ("cache-control", "no-cache")]), Ok(()));
    for status in [201, 204, 206, 301, 304, 400, 429, 500, 529] {
        assert_eq!(head_of(status, &[]), Err(Refusal::Status));
    }
}

#[test]
fn an_upstream_can_forbid_it() {
    for value in ["no-store", "max-age=1, Private", "private=\"x-a\"", "no-cache,no-store"] {
        assert_eq!(head_of(200, &[("a", "b"), ("Cache-Control", value)]), Err(Refusal::Forbidden), "{value}");
    }
    assert_eq!(head_of(200, &[("vary", "accept, *")]), Err(Refusal::Forbidden));
    assert_eq!(head_of(200, &[("vary", "accept-encoding")]), Ok(()));
    assert_eq!(head_of(200, &[("content-encoding", "gzip")]), Err(Refusal::Encoded));
    assert_eq!(head_of(200, &[("content-encoding", "identity")]), Ok(()));
}

#[test]
fn an_empty_answer_is_refused_in_every_shape() {
    for (dialect, text) in [
        ("openai.chat", r#"{"choices":[]}"#),
        ("openai.chat", r#"{"choices":[{"message":{"content":" \n","tool_calls":[]}}]}"#),
        ("openai.chat", r#"{"choices":[{"message":{"content":null,"reasoning_content":"hm"}}]}"#),
        ("openai.chat", r#"{"choices":[{"message":{"content":[{"type":"text","text":""}]}}]}"#),
        ("openai.chat", "null"),
        ("openai.responses", r#"{"output":[{"type":"reasoning","summary":["hm"]},{"type":"message","content":[]}]}"#),
        ("openai.embeddings", r#"{"data":[{"embedding":[]}]}"#),
        ("anthropic.messages", r#"{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":" "}]}"#),
        ("ollama.chat", r#"{"message":{"role":"assistant","content":""},"done":true}"#),
        ("ollama.generate", r#"{"response":"","done":true}"#),
        ("ollama", r#"{"embeddings":[[]]}"#),
        ("gemini", r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"x"}]}}]}"#),
        ("gemini", r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#),
    ] {
        assert_eq!(body(Some(dialect), text.as_bytes()), Err(Refusal::Empty), "{dialect} {text}");
    }
    assert_eq!(body(None, b" \n"), Err(Refusal::Empty));
    assert_eq!(body(None, b""), Err(Refusal::Empty));
}

#[test]
fn one_word_or_one_call_is_an_answer() {
    for (dialect, text) in [
        ("openai.chat", "\n \n {\"choices\":[{\"message\":{\"content\":\"\"}},{\"message\":{\"content\":\"a\"}}]}"),
        ("openai.chat", r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c"}]}}],"error":null}"#),
        ("openai.chat", r#"{"choices":[{"message":{"content":null,"function_call":{"name":"f"}}}]}"#),
        ("openai.completions", r#"{"choices":[{"text":"a"}]}"#),
        ("openai.responses", r#"{"error":null,"output":[{"type":"function_call","name":"f"}]}"#),
        ("openai.responses", r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}]}"#),
        ("openai.embeddings", r#"{"data":[{"embedding":[0.1]}]}"#),
        ("openai.embeddings", r#"{"data":[{"embedding":"zczMPQ=="}]}"#),
        ("anthropic.messages", r#"{"content":[{"type":"tool_use","id":"t","name":"f","input":{}}]}"#),
        ("ollama.chat", r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f"}}]}}"#),
        ("ollama.generate", r#"{"response":"a"}"#),
        ("ollama", r#"{"embedding":[0.5]}"#),
        ("gemini", r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#),
    ] {
        assert_eq!(body(Some(dialect), text.as_bytes()), Ok(()), "{dialect} {text}");
    }
    assert_eq!(body(None, br#"{"error":"of another service"}"#), Ok(()));
    assert_eq!(body(Some("openai.models"), b"{}"), Ok(()));
    assert_eq!(body(Some("ollama"), br#"{"models":[]}"#), Ok(()));
}

#[test]
fn an_error_or_rubbish_under_a_200_is_refused() {
    let error = br#"{"error":{"message":"overloaded"},"choices":[{"message":{"content":"a"}}]}"#;
    assert_eq!(body(Some("openai.chat"), error), Err(Refusal::Error));
    assert_eq!(body(Some("openai.chat"), b"{\"choices\":[{\"mess"), Err(Refusal::Unreadable));
    assert_eq!(body(Some("ollama.chat"), b"<html>busy</html>"), Err(Refusal::Unreadable));
}

#[test]
fn what_failed_or_goes_on_is_no_answer() {
    for (dialect, text, refusal) in [
        ("openai.chat", r#"{"choices":[{"message":{"content":"a"},"error":{"code":502}}]}"#, Refusal::Error),
        ("openai.chat", r#"{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}"#, Refusal::Error),
        ("openai.responses", r#"{"status":"failed","output":[{"type":"function_call"}]}"#, Refusal::Error),
        ("openai.responses", r#"{"status":"cancelled","output":[{"type":"function_call"}]}"#, Refusal::Error),
        ("openai.responses", r#"{"status":"in_progress","output":[{"type":"function_call"}]}"#, Refusal::Incomplete),
        ("ollama.chat", r#"{"message":{"content":"a"},"done":false}"#, Refusal::Incomplete),
        ("ollama.generate", r#"{"response":"a","done":false}"#, Refusal::Incomplete),
    ] {
        assert_eq!(body(Some(dialect), text.as_bytes()), Err(refusal), "{dialect} {text}");
    }
    let over = r#"{"status":"incomplete","output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}]}"#;
    assert_eq!(body(Some("openai.responses"), over.as_bytes()), Ok(()), "it is all that was asked for");
}
