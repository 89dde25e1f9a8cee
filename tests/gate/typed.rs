//! Typed events on the running gate: one hook, every dialect, streamed and whole, the same effect.

use serde_json::{Value, json};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chunked, json as whole, say};

/// One dialect: where it is called, and an answer that says `the secret cove`, thinks where it can, calls `tide` with a
/// `city`, and used 20 tokens in and 5 out.
struct Spoken {
    name: &'static str,
    path: &'static str,
    kind: &'static str,
    stream: &'static str,
    whole: &'static str,
    /// Whether it calls a tool.
    calls: bool,
}

const SSE: &str = "text/event-stream";

const CHAT: Spoken = Spoken {
    name: "openai.chat",
    path: "/v1/chat/completions",
    kind: SSE,
    calls: true,
    stream: concat!(
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"finish_reason\":null}],\"usage\":null}\n\n",
        "data: {\"id\":\"c1\", \"choices\":[{\"index\":0,\"delta\":{\"content\":\"the secret\"},\"logprobs\":null}],\"obfuscation\":\"x\"}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" cove\"}}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"tide\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"city\\\"\"}}]}}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1.0}\"}}]}}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"total_tokens\":25}}\n\n",
        "data: [DONE]\n\n",
    ),
    whole: r#"{"id":"c1", "choices":[{"index":0,"message":{"role":"assistant","content":"the secret cove","refusal":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"tide","arguments":"{\"city\":1.0}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}}"#,
};

const COMPLETIONS: Spoken = Spoken {
    name: "openai.completions",
    path: "/v1/completions",
    kind: SSE,
    calls: false,
    stream: concat!(
        "data: {\"id\":\"c1\",\"choices\":[{\"text\":\"the secret\",\"index\":0,\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c1\",\"choices\":[{\"text\":\" cove\",\"index\":0,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":5,\"total_tokens\":25}}\n\n",
        "data: [DONE]\n\n",
    ),
    whole: r#"{"id":"c1","choices":[{"text":"the secret cove","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":5,"total_tokens":25}, "n":1.0}"#,
};

const RESPONSES: Spoken = Spoken {
    name: "openai.responses",
    path: "/v1/responses",
    kind: SSE,
    calls: true,
    stream: concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"status\":\"in_progress\",\"output\":[],\"usage\":null}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[]}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"the secret\"}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\" cove\"}\n\n",
        "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"output_index\":0,\"content_index\":0,\"text\":\"the secret cove\"}\n\n",
        "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"the secret cove\"}]}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"t1\",\"name\":\"tide\",\"arguments\":\"\"}}\n\n",
        "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"{\\\"city\\\":1.0}\"}\n\n",
        "event: response.function_call_arguments.done\ndata: {\"type\":\"response.function_call_arguments.done\",\"output_index\":1,\"arguments\":\"{\\\"city\\\":1.0}\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"the secret cove\"}]},{\"type\":\"function_call\",\"call_id\":\"t1\",\"name\":\"tide\",\"arguments\":\"{\\\"city\\\":1.0}\"}],\"usage\":{\"input_tokens\":20,\"output_tokens\":5,\"total_tokens\":25}}}\n\n",
    ),
    whole: r#"{"status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","annotations":[],"text":"the secret cove"}]},{"type":"function_call","call_id":"t1","name":"tide","arguments":"{\"city\":1.0}"}],"output_text":"the secret cove","usage":{"input_tokens":20,"output_tokens":5,"total_tokens":25}}"#,
};

const ANTHROPIC: Spoken = Spoken {
    name: "anthropic.messages",
    path: "/v1/messages",
    kind: SSE,
    calls: true,
    stream: concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":4,\"cache_read_input_tokens\":10,\"cache_creation_input_tokens\":6,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"the secret\"}   }\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" cove\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"tide\",\"input\":{}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\":1.0}\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ),
    whole: r#"{"type":"message","content":[{"type":"text","text":"the secret cove"},{"type":"tool_use","id":"t1","name":"tide","input":{"city":1.0}}],"stop_reason":"tool_use","usage":{"input_tokens":4,"cache_read_input_tokens":10,"cache_creation_input_tokens":6,"output_tokens":5}}"#,
};

const OLLAMA_CHAT: Spoken = Spoken {
    name: "ollama.chat",
    path: "/api/chat",
    kind: "application/x-ndjson",
    calls: true,
    stream: concat!(
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"the secret\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\" cove\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"tide\",\"arguments\":{\"city\":1.0}}}]},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":20,\"eval_count\":5}\n",
    ),
    whole: r#"{"model":"m","message":{"role":"assistant","content":"the secret cove","tool_calls":[{"function":{"name":"tide","arguments":{"city":1.0}}}]},"done":true,"done_reason":"stop","prompt_eval_count":20,"eval_count":5}"#,
};

const OLLAMA_GENERATE: Spoken = Spoken {
    name: "ollama.generate",
    path: "/api/generate",
    kind: "application/x-ndjson",
    calls: false,
    stream: concat!(
        "{\"model\":\"m\",\"response\":\"the secret\",\"done\":false}\n",
        "{\"model\":\"m\",\"response\":\" cove\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1],\"prompt_eval_count\":20,\"eval_count\":5}\n",
    ),
    whole: r#"{"model":"m","response":"the secret cove","done":true,"done_reason":"stop","prompt_eval_count":20,"eval_count":5}"#,
};

const GEMINI: Spoken = Spoken {
    name: "gemini",
    path: "/v1beta/models/m:streamGenerateContent",
    kind: SSE,
    calls: true,
    stream: concat!(
        "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"the secret\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 20}}\r\n\r\n",
        "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" cove\"},{\"functionCall\": {\"name\": \"tide\",\"args\": {\"city\":1.0}}}]},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 20,\"candidatesTokenCount\": 2,\"thoughtsTokenCount\": 3}}\r\n\r\n",
    ),
    whole: "{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"the secret cove\"},{\"functionCall\": {\"name\": \"tide\",\"args\": {\"city\":1.0}}}]},\"finishReason\": \"STOP\"}],\n  \"usageMetadata\": {\"promptTokenCount\": 20,\"candidatesTokenCount\": 2,\"thoughtsTokenCount\": 3}\n}",
};

const ALL: [Spoken; 7] = [CHAT, COMPLETIONS, RESPONSES, ANTHROPIC, OLLAMA_CHAT, OLLAMA_GENERATE, GEMINI];

/// Masks, renames an argument and counts, knowing no dialect; tells what it saw.
const TYPED: &str = r#"
local function note(key, text)
  store:set(key, (store:get(key) or "") .. text)
end
return policy { api = 1,
  on_event = function(ev)
    if ev.text then
      ev.text = string.gsub(ev.text, "secret", "******")
      note("text", ev.text)
    end
    if ev.tool and ev.tool.args then
      ev.tool.args = string.gsub(ev.tool.args, "city", "town")
      note("args", ev.tool.args)
    end
    if ev.tool and ev.tool.name then note("tools", ev.tool.name .. ";") end
    if ev.usage then store:set("usage", `{ev.usage.input}/{ev.usage.output}/{ev.usage.total}`) end
    if ev.stop then note("stop", ev.stop) end
    if ev.error then note("error", ev.error.message) end
    if ev.whole then store:set("whole", true) end
  end,
  endpoints = { ["GET /told"] = function()
    local told = {}
    for _, key in { "text", "args", "tools", "usage", "stop", "whole" } do
      told[key] = store:get(key)
      store:delete(key)
    end
    return respond { json = told }
  end },
}"#;

/// Answers each path in its dialect: as a stream in small pieces, or whole where the query says so.
fn speaking() -> Service {
    Service::start(|heard, stream| {
        let target = heard.target().to_owned();
        let spoken = ALL.into_iter().find(|spoken| target.starts_with(spoken.path)).unwrap();
        if target.ends_with("whole") {
            return say(stream, whole(spoken.whole));
        }
        say(stream, chunked(spoken.kind, spoken.stream.as_bytes().chunks(41)))
    })
}

/// The bodies of a dialect's two forms through a gate with a policy, and what came from the upstream.
fn both(gate: &Bundled, spoken: &Spoken) -> [(String, &'static str, Value); 2] {
    ["?streamed", "?whole"].map(|query| {
        let mut talk = gate.talk();
        let said = talk.post(&format!("{}{query}", spoken.path), &[], "{}");
        assert_eq!((said.status, said.whole), (200, true), "{}{query}: {}", spoken.name, said.text());
        let told = talk.get("/told", &[]);
        let came = if query == "?whole" { spoken.whole } else { spoken.stream };
        let told = if told.status == 200 && told.body.starts_with(b"{") { told.json() } else { Value::Null };
        (said.text(), came, told)
    })
}

#[test]
fn one_hook_has_the_same_effect_in_every_dialect_streamed_or_whole() {
    let upstream = speaking();
    let gate = Bundled::policy(&upstream.url(), "", TYPED);
    for spoken in &ALL {
        let forms = both(&gate, spoken);
        for (at, (said, came, told)) in forms.iter().enumerate() {
            let whole = at == 1;
            let expected = came.replace("secret", "******").replace("city", "town");
            assert_eq!(*said, expected, "{} whole={whole}", spoken.name);
            assert!(came.contains("secret") && !said.contains("secret"));
            let mut expected = json!({ "text": "the ****** cove", "usage": "20/5/25", "stop": if spoken.calls { "tool" } else { "end" } });
            if spoken.calls {
                expected["args"] = "{\"town\":1.0}".into();
                expected["tools"] = "tide;".into();
            }
            if whole {
                expected["whole"] = true.into();
            }
            assert_eq!(*told, expected, "{} whole={whole}", spoken.name);
        }
    }
    assert_eq!(gate.status()["hook_errors"], json!([]), "{:#}", gate.status()["hook_errors"]);
}

#[test]
fn a_hook_that_only_reads_changes_no_byte() {
    let upstream = speaking();
    let lua = r"return policy { api = 1, on_event = function(ev)
      local _ = { ev.kind, ev.text, ev.reasoning, ev.tool and ev.tool.args, ev.usage, ev.stop, ev.error, ev.choice, ev.raw }
      if ev.text then ev.text = ev.text end
      if ev.tool and ev.tool.args then ev.tool.args = ev.tool.args end
    end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    for spoken in &ALL {
        let mut talk = gate.talk();
        assert_eq!(talk.post(&format!("{}?s", spoken.path), &[], "{}").text(), spoken.stream, "{}", spoken.name);
        assert_eq!(talk.post(&format!("{}?whole", spoken.path), &[], "{}").text(), spoken.whole, "{}", spoken.name);
    }
    assert_eq!(gate.status()["hook_errors"], json!([]), "{:#}", gate.status()["hook_errors"]);
}

#[test]
fn dropping_and_adding_is_the_same_for_whole_answers() {
    let upstream = speaking();
    let lua = r#"return policy { api = 1, on_event = function(ev)
      if ev.tool then return drop end
      if ev.kind == "text" then return { { text = "<" }, ev, { text = ">" } } end
    end }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let said = |spoken: &Spoken| gate.talk().post(&format!("{}?whole", spoken.path), &[], "{}").json();
    let chat = said(&CHAT);
    assert_eq!(
        chat["choices"][0]["message"],
        json!({"role": "assistant", "content": "<the secret cove>", "refusal": null})
    );
    let anthropic = said(&ANTHROPIC);
    assert_eq!(anthropic["content"], json!([{"type": "text", "text": "<the secret cove>"}]));
    let responses = said(&RESPONSES);
    assert_eq!(
        (&responses["output_text"], responses["output"].as_array().unwrap().len()),
        (&json!("<the secret cove>"), 1)
    );
    let streamed = |spoken: &Spoken| gate.talk().post(&format!("{}?s", spoken.path), &[], "{}").text();
    let chat = streamed(&CHAT);
    assert!(
        chat.contains(r#""content":"<"},"#) && chat.contains(r#""content":" cove"}"#) && !chat.contains("tide"),
        "{chat}"
    );
    let responses = streamed(&RESPONSES);
    assert!(responses.contains(r#""text":"<the secret>< cove>""#) && !responses.contains("tide"), "{responses}");
    let anthropic = streamed(&ANTHROPIC);
    assert!(anthropic.contains("< cove>") || anthropic.contains("\"text\":\">\""), "{anthropic}");
    assert!(!anthropic.contains("tide") && !anthropic.contains("\"index\":1"), "{anthropic}");
    let ollama = streamed(&OLLAMA_GENERATE);
    assert_eq!(ollama.matches("\"done\":true").count(), 1, "copies of the last line end nothing: {ollama}");
    assert!(ollama.ends_with("}\n") && ollama.lines().count() == 6, "{ollama}");
    let gemini = streamed(&GEMINI);
    assert_eq!(gemini.matches("finishReason").count(), 1, "{gemini}");
    assert!(!gemini.contains("tide") && gemini.contains("\"text\": \"< cove>\""), "{gemini}");
    assert_eq!(gate.status()["hook_errors"], json!([]), "{:#}", gate.status()["hook_errors"]);
}

#[test]
fn a_failing_hook_lets_the_piece_of_a_whole_answer_pass() {
    let upstream = speaking();
    for fault in [
        "ev.text = 'x' error('no')",
        "ev:json().id = 'x' ev.text = 'x' error('no')",
        "ev.data = 'x'",
        "ev.tool.args = 'x'",
    ] {
        let lua = format!(
            "return policy {{ api = 1, on_event = function(ev)\n if ev.kind == 'text' then {fault} end\n if ev.tool then ev.tool.name = 'ebb' end end }}"
        );
        let gate = Bundled::policy(&upstream.url(), "", &lua);
        let said = gate.talk().post(&format!("{}?whole", CHAT.path), &[], "{}").text();
        assert_eq!(said, CHAT.whole.replace("tide", "ebb"), "{fault}");
        let errors = gate.status()["hook_errors"].clone();
        assert_eq!((errors.as_array().unwrap().len(), &errors[0]["line"]), (1, &json!(2)), "{fault}: {errors:#}");
    }
}

#[test]
fn what_is_no_successful_answer_is_not_shown() {
    let upstream = Service::start(|heard, stream| {
        let body = r#"{"choices":[{"message":{"content":"secret"}}]}"#;
        let kind = ("Content-Type", "application/json; charset=utf-8");
        match heard.target() {
            "/v1/chat/completions?bad" => say(stream, answer(400, &[kind], body)),
            "/v1/chat/completions?coded" => say(stream, answer(200, &[kind, ("Content-Encoding", "gzip")], body)),
            "/v1/chat/completions?text" => say(stream, answer(200, &[("Content-Type", "text/plain")], body)),
            _ => say(stream, answer(200, &[kind], body)),
        }
    });
    let lua = "return policy { api = 1, on_event = function(ev) if ev.text then ev.text = 'shown' end end }";
    let gate = Bundled::policy(&upstream.url(), "[limits]\nresponse_body = \"64KiB\"", lua);
    for (target, shown) in [
        ("/v1/chat/completions", true),
        ("/v1/chat/completions?bad", false),
        ("/v1/chat/completions?coded", false),
        ("/v1/chat/completions?text", false),
        ("/v1/embeddings", false),
        ("/other", false),
    ] {
        let text = gate.talk().post(target, &[], "{}").text();
        assert_eq!(text.contains("shown"), shown, "{target}: {text}");
    }
}

#[test]
fn an_answer_larger_than_the_limit_never_passes_hooks_unseen() {
    let body = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "secret ".repeat(4000));
    let upstream = Service::saying(whole(&body));
    let lua = "return policy { api = 1, on_event = function(ev) if ev.text then ev.text = 'shown' end end }";
    let gate = Bundled::policy(&upstream.url(), "[limits]\nresponse_body = \"16KiB\"", lua);
    let said = gate.talk().post("/v1/chat/completions", &[], "{}");
    assert!(said.status == 502 && !said.text().contains("secret"), "{said:?}");
}

#[test]
fn a_translated_answer_is_shown_in_the_dialect_of_its_client() {
    let upstream = Service::start(|heard, stream| {
        let streamed = heard.json()["stream"] == true;
        let pieces = CHAT.stream.as_bytes().chunks(41);
        say(stream, if streamed { chunked(SSE, pieces) } else { whole(CHAT.whole) })
    });
    let settings =
        format!("[upstreams.up]\ndialect = \"openai\"\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n", upstream.url());
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", TYPED)]);
    for streamed in [true, false] {
        let ask =
            json!({"model": "m", "max_tokens": 9, "stream": streamed, "messages": [{"role": "user", "content": "x"}]});
        let mut talk = gate.talk();
        let said = talk.post("/v1/messages", &[], &ask.to_string());
        assert_eq!(said.status, 200, "{}", said.text());
        assert!(said.text().contains("******") && !said.text().contains("secret"), "{}", said.text());
        let told = talk.get("/told", &[]).json();
        assert_eq!((&told["text"], &told["args"]), (&json!("the ****** cove"), &json!("{\"town\":1.0}")), "{told}");
        assert_eq!((&told["usage"], &told["stop"]), (&json!("20/5/25"), &json!("tool")), "{told}");
    }
}

#[test]
fn stored_answers_are_stored_as_they_came_and_shown_again() {
    let upstream = speaking();
    let lua = r#"return policy { api = 1,
      cache = function(req) return { key = { target = req.target }, ttl = 60 } end,
      on_event = function(ev) if ev.text then ev.text = string.gsub(ev.text, "secret", tostring(store:incr("n", 1))) end end }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    for (target, body) in [("?whole", "{}"), ("?s", r#"{"stream":true}"#)] {
        let path = format!("{}{target}", CHAT.path);
        let mut talk = gate.talk();
        let [first, second] = [0, 1].map(|_| talk.post(&path, &[], body).text());
        assert!(first != second && !second.contains("secret") && second.contains("cove"), "{second}");
        assert_eq!(first.len(), second.len(), "{second}");
    }
    assert_eq!(upstream.count(), 2, "the second of each came from the cache");
}

#[test]
fn answers_of_policies_are_shown_too() {
    let upstream = speaking();
    let lua = r#"return policy { api = 1,
      on_request = function() return respond { json = { choices = { { message = { content = "secret" } } } } } end,
      on_event = function(ev) if ev.text then ev.text = "shown" end end }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let said = gate.talk().post("/v1/chat/completions", &[], "{}");
    assert_eq!(said.json(), json!({"choices": [{"message": {"content": "shown"}}]}));
}
