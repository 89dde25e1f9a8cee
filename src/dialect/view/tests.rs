//! What is found in each dialect's events and answers, and that an edit touches nothing else.

use bytes::Bytes;

use super::{Kind, Memory, Part, Usage, event, leave_out, plain, stop_word, whole};
use crate::dialect::Dialect;
use crate::json::{Doc, Limits};

mod echo;
mod traffic;

fn doc(text: &str) -> Doc {
    Doc::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default()).unwrap()
}

/// An event's parts, in short.
fn seen(dialect: Dialect, text: &str) -> Vec<String> {
    let mut doc = doc(text);
    let mut parts = event(dialect, None, &mut doc);
    Memory::default().complete(dialect, &mut parts);
    parts.iter().map(|part| short(part, &mut doc)).collect()
}

/// A whole answer's parts, in short.
fn pieces(dialect: Dialect, text: &str) -> Vec<String> {
    let mut doc = doc(text);
    let mut parts = whole(dialect, &mut doc);
    Memory::default().complete(dialect, &mut parts);
    parts.iter().map(|part| short(part, &mut doc)).collect()
}

fn short(part: &Part, doc: &mut Doc) -> String {
    let mut out = vec![part.kind.as_str().to_owned()];
    if part.choice > 0 {
        out.push(format!("choice={}", part.choice));
    }
    out.extend(part.reasoning.as_ref().map(|text| format!("reasoning={}", text.read(doc).unwrap())));
    out.extend(part.text.as_ref().map(|text| format!("text={}", text.read(doc).unwrap())));
    if let Some(tool) = &part.tool {
        let name = tool.name.and_then(|name| name.text(doc).map(std::borrow::Cow::into_owned));
        let args = tool.args.and_then(|args| args.read(doc));
        let words = [tool.id.clone(), name, args].map(|word| word.unwrap_or_else(|| "-".to_owned()));
        out.push(format!("tool={}:{}", tool.index, words.join(":")));
    }
    if let Some(usage) = part.usage {
        let figure = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
        let all = [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning, usage.total];
        out.push(format!("usage={}", all.map(figure).join("/")));
    }
    out.extend(part.stop.as_ref().map(|stop| format!("stop={}", stop_word(stop))));
    let error = part.error.as_ref();
    out.extend(error.map(|error| format!("error={}:{}", error.kind.as_deref().unwrap_or("-"), error.message)));
    out.join(" ")
}

/// The events of a dialect, with what is seen in each.
#[track_caller]
fn all_seen(dialect: Dialect, events: &[(&str, &str)]) {
    for (text, expected) in events {
        assert_eq!(seen(dialect, text).join(" | "), *expected, "{text}");
    }
}

#[test]
fn chat_chunks_are_seen() {
    all_seen(
        Dialect::OpenAiChat,
        &[
            (
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
                "start text=",
            ),
            (r#"{"choices":[{"index":1,"delta":{"role":"assistant","content":"Ahoy"}}]}"#, "text choice=1 text=Ahoy"),
            (r#"{"choices":[{"index":0,"delta":{"content":null,"refusal":"No."}}]}"#, "refusal text=No."),
            (
                r#"{"choices":[{"index":0,"delta":{"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm"}],"content":""}}]}"#,
                "reasoning reasoning=hm text=",
            ),
            (
                r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"so"}]}]}}]}"#,
                "reasoning reasoning=so",
            ),
            (
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"tide","arguments":""}}]}}]}"#,
                "tool tool=1:c2:tide:",
            ),
            (
                r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]}}]}"#,
                "tool tool=0:-:-:{\"a",
            ),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"x","arguments":"{}"}},{"id":"b","function":{"name":"y","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
                "tool tool=0:a:x:{} | tool tool=1:b:y:{} stop=tool",
            ),
            (r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#, "stop stop=length"),
            (
                r#"{"choices":[{"index":0,"delta":{"content":"end"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
                "text text=end usage=5/2/-/-/-/7 stop=end",
            ),
            (
                r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":3}}}"#,
                "usage usage=9/4/8/-/3/13",
            ),
            (r#"{"choices":[],"prompt_filter_results":[]}"#, "raw"),
            (
                r#"{"error":{"message":"gone","type":"server_error","code":502},"choices":[]}"#,
                "error error=server_error:gone",
            ),
            (
                r#"{"choices":[{"index":0,"delta":{"content":" b"},"message":{"role":"assistant","content":"a b"}}]}"#,
                "text text= b",
            ),
            (
                r#"{"choices":[{"index":0,"delta":{"content":"x","annotations":[{"type":"url_citation"}]}}]}"#,
                "text text=x",
            ),
            ("[1,2]", "raw"),
            (r#"{"choices":{"delta":7}}"#, "raw"),
            (r#"{"choices":[{"delta":{"content":"bro"#, "raw"),
        ],
    );
    all_seen(
        Dialect::OpenAiCompletions,
        &[
            (r#"{"choices":[{"text":"Once","index":0,"finish_reason":null}]}"#, "text text=Once"),
            (
                r#"{"choices":[{"text":"","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
                "stop text= usage=1/1/-/-/-/2 stop=end",
            ),
        ],
    );
    assert_eq!(plain(b"[DONE]")[0].kind, Kind::End);
    assert_eq!(plain(b"hm")[0].kind, Kind::Raw);
}

#[test]
fn events_of_responses_are_seen() {
    all_seen(
        Dialect::OpenAiResponses,
        &[
            (r#"{"type":"response.created","response":{"status":"in_progress","usage":null}}"#, "start"),
            (
                r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"Ahoy"}"#,
                "text text=Ahoy",
            ),
            (r#"{"type":"response.output_text.done","output_index":1,"content_index":0,"text":"Ahoy"}"#, "raw"),
            (r#"{"type":"response.refusal.delta","output_index":0,"content_index":0,"delta":"No"}"#, "refusal text=No"),
            (
                r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"hm"}"#,
                "reasoning reasoning=hm",
            ),
            (
                r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"c1","name":"tide","arguments":""}}"#,
                "tool tool=2:c1:tide:",
            ),
            (
                r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"a\""}"#,
                "tool tool=2:-:-:{\"a\"",
            ),
            (
                r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call"}],"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7,"input_tokens_details":{"cached_tokens":2}}}}"#,
                "stop usage=3/4/2/-/-/7 stop=tool",
            ),
            (
                r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}}"#,
                "stop stop=length",
            ),
            (
                r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"oh"}}}"#,
                "error error=server_error:oh",
            ),
            (r#"{"type":"error","code":"rate_limit","message":"slow"}"#, "error error=rate_limit:slow"),
            (r#"{"type":"response.output_text.annotation.added","annotation":{}}"#, "citation"),
        ],
    );
}

#[test]
fn events_of_anthropic_are_seen() {
    all_seen(
        Dialect::Anthropic,
        &[
            (
                r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":4,"cache_read_input_tokens":10,"cache_creation_input_tokens":6,"output_tokens":1}}}"#,
                "start usage=20/1/10/6/-/21",
            ),
            (r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#, "raw"),
            (
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"tide","input":{}}}"#,
                "tool tool=1:t1:tide:-",
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Ahoy"}       }"#,
                "text text=Ahoy",
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
                "reasoning reasoning=hm",
            ),
            (
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}"#,
                "tool tool=1:-:-:{\"a",
            ),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Eo"}}"#, "raw"),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}"#,
                "citation",
            ),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"stop_sequence","stop_sequence":"END"},"usage":{"output_tokens":7}}"#,
                "stop usage=-/7/-/-/-/- stop=sequence",
            ),
            (r#"{"type":"message_stop"}"#, "end"),
            (r#"{"type": "ping"}"#, "ping"),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
                "error error=overloaded_error:Busy",
            ),
        ],
    );
}

#[test]
fn lines_of_ollama_are_seen() {
    all_seen(
        Dialect::OllamaChat,
        &[
            (r#"{"message":{"role":"assistant","content":"Ahoy"},"done":false}"#, "text text=Ahoy"),
            (
                r#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
                "reasoning reasoning=hm text=",
            ),
            (
                r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"tide","arguments":{"a": 1}}}]},"done":false}"#,
                "tool text= tool=0:-:tide:{\"a\": 1}",
            ),
            (
                r#"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}"#,
                "stop text= usage=3/2/-/-/-/5 stop=end",
            ),
            (r#"{"error":"no such model"}"#, "error error=-:no such model"),
        ],
    );
    all_seen(
        Dialect::OllamaGenerate,
        &[
            (r#"{"response":"Ahoy","done":false}"#, "text text=Ahoy"),
            (
                r#"{"response":"","done":true,"done_reason":"length","eval_count":2}"#,
                "stop text= usage=-/2/-/-/-/- stop=length",
            ),
        ],
    );
}

#[test]
fn chunks_of_gemini_are_seen() {
    all_seen(
        Dialect::Gemini,
        &[
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Ahoy"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"thoughtsTokenCount":3,"totalTokenCount":10}}"#,
                "reasoning reasoning=hm | text text=Ahoy usage=5/5/-/-/3/10",
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]},"finishReason":"STOP"}]}"#,
                "text text=a | text text=b stop=end",
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"x","args":{"a":1}}},{"functionCall":{"name":"y","args":{}}}]},"finishReason":1}]}"#,
                "tool tool=0:-:x:{\"a\":1} | tool tool=1:-:y:{} stop=tool",
            ),
            (r#"{"candidates":[{"finishReason":"SAFETY","index":0}]}"#, "stop stop=filter"),
            (r#"{"promptFeedback":{"blockReason":"OTHER"}}"#, "stop stop=filter"),
            (r#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#, "error error=429:slow"),
        ],
    );
}

#[test]
fn a_whole_answer_is_one_thing_after_the_other() {
    let chat = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Ahoy","refusal":null,"reasoning_content":"hm","tool_calls":[{"id":"a","function":{"name":"x","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    assert_eq!(
        pieces(Dialect::OpenAiChat, chat),
        ["reasoning reasoning=hm", "text text=Ahoy", "tool tool=0:a:x:{}", "usage usage=1/2/-/-/-/3", "stop stop=tool"]
    );
    let anthropic = r#"{"type":"message","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Ahoy"},{"type":"tool_use","id":"t","name":"x","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}"#;
    assert_eq!(
        pieces(Dialect::Anthropic, anthropic),
        ["reasoning reasoning=hm", "text text=Ahoy", "tool tool=2:t:x:{}", "usage usage=1/2/-/-/-/3", "stop stop=tool"]
    );
    let responses = r#"{"status":"completed","error":null,"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"Ahoy"},{"type":"refusal","refusal":"No"}]},{"type":"function_call","call_id":"c","name":"x","arguments":"{}"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}"#;
    assert_eq!(
        pieces(Dialect::OpenAiResponses, responses),
        [
            "reasoning reasoning=hm",
            "text text=Ahoy",
            "refusal text=No",
            "tool tool=2:c:x:{}",
            "usage usage=1/2/-/-/-/3",
            "stop stop=tool"
        ]
    );
    let chunks = r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}]}]"#;
    assert_eq!(pieces(Dialect::Gemini, chunks), ["text text=a", "text text=b", "stop stop=end"]);
}

#[test]
fn an_edit_changes_only_its_own_bytes() {
    let text = r#" { "choices" : [ {"delta":{ "content":"caf\u00e9 \/ 1" , "n":1.0}} ] } "#;
    let mut doc = doc(text);
    let parts = event(Dialect::OpenAiChat, None, &mut doc);
    let place = parts[0].text.clone().unwrap();
    place.set(&mut doc, "café / 1").unwrap();
    assert!(!doc.edited(), "what reads the same is no edit");
    place.set(&mut doc, "tea").unwrap();
    assert_eq!(doc.render(), text.replace(r"caf\u00e9 \/ 1", "tea"));
}

#[test]
fn what_is_left_out_leaves_a_valid_answer() {
    let gemini = r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"a"},{"functionCall":{"name":"x","args":{}}},{"inlineData":{}}]}}]}"#;
    let chat = r#"{"choices":[{"message":{"content":"a","reasoning":"b","reasoning_details":[{"text":"b"}],"tool_calls":[{"function":{"name":"x"}},{"function":{"name":"y"}}]}}]}"#;
    let left = |dialect, text: &str, streamed: bool| {
        let mut doc = doc(text);
        let parts = if streamed { event(dialect, None, &mut doc) } else { whole(dialect, &mut doc) };
        let gone: Vec<_> = parts.iter().flat_map(Part::gone).collect();
        leave_out(&mut doc, &gone);
        String::from_utf8(doc.render().to_vec()).unwrap()
    };
    let bare = r#"{"candidates":[{"content":{"parts":[{"inlineData":{}}]}}]}"#;
    assert_eq!(
        (left(Dialect::Gemini, gemini, true).as_str(), left(Dialect::Gemini, gemini, false).as_str()),
        (bare, bare)
    );
    let bare = r#"{"choices":[{"message":{"content":"","reasoning":"","reasoning_details":[{"text":""}]}}]}"#;
    assert_eq!(left(Dialect::OpenAiChat, chat, false), bare);
}

#[test]
fn absurd_counts_are_no_overflow() {
    let most = u64::MAX;
    let usage = format!(
        r#"{{"type":"message_delta","usage":{{"input_tokens":{most},"cache_read_input_tokens":{most},"output_tokens":1}}}}"#
    );
    assert_eq!(seen(Dialect::Anthropic, &usage), [format!("usage usage={most}/1/{most}/-/-/{most}")]);
    let negative = r#"{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1e3}}"#;
    assert_eq!(seen(Dialect::OpenAiChat, negative), ["raw"]);
}

#[test]
fn a_later_event_is_completed_by_earlier_ones() {
    let mut memory = Memory::default();
    let mut next = |dialect, text: &str| {
        let mut doc = doc(text);
        let mut parts = event(dialect, None, &mut doc);
        memory.complete(dialect, &mut parts);
        parts.remove(0)
    };
    next(Dialect::OllamaChat, r#"{"message":{"tool_calls":[{"function":{"name":"x","arguments":{}}}]},"done":false}"#);
    let end = next(Dialect::OllamaChat, r#"{"message":{"content":""},"done":true,"done_reason":"stop"}"#);
    assert_eq!(end.stop.as_ref().map(stop_word), Some("tool"));
    next(Dialect::Anthropic, r#"{"type":"message_start","message":{"usage":{"input_tokens":4,"output_tokens":1}}}"#);
    let end = next(Dialect::Anthropic, r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":7}}"#);
    let usage = Usage { input: Some(4), output: Some(7), total: Some(11), ..Usage::default() };
    assert_eq!(end.usage, Some(usage));
}
