//! Redaction: nothing that is planted survives, everything keeps its length and shape, and doing it twice is doing it
//! once.

mod traffic;

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::write::write;
use super::super::{Case, Piece, read};
use super::{Kind, Redaction, Text};

const KEY: [u8; 32] = [7; 32];

fn case(text: &str) -> Case {
    read::read("t.http", text).unwrap()
}

/// The text of a case once it is redacted; redacting it again must change nothing.
#[track_caller]
fn redacted_as(case: &Case, text: Text) -> String {
    let redaction = Redaction::new(KEY, text);
    let mut once = case.clone();
    redaction.case(&mut once);
    let mut twice = once.clone();
    redaction.case(&mut twice);
    let once = write(&once);
    assert_eq!(once, write(&twice), "redacting twice is not redacting once");
    once
}

fn redacted(text: &str) -> String {
    redacted_as(&case(text), Text::Replaced)
}

/// The body of the only call, of this type.
fn body(kind: &str, body: &str) -> String {
    body_as(kind, body, Text::Replaced)
}

fn body_as(kind: &str, body: &str, text: Text) -> String {
    let mut case = case(&format!("# A.\n> client\nPOST /a HTTP/1.1\ncontent-type: {kind}\n"));
    case.calls[0].body = vec![Piece { pause: Duration::ZERO, bytes: Bytes::from(body.to_owned()) }];
    redacted_as(&case, text);
    Redaction::new(KEY, text).case(&mut case);
    let made = String::from_utf8(case.calls[0].body[0].bytes.to_vec()).unwrap();
    assert_eq!(made.len(), body.len());
    made
}

fn json_of(body_text: &Value) -> Value {
    serde_json::from_str(&body("application/json", &body_text.to_string())).unwrap()
}

#[test]
fn planted_secrets_survive_nowhere() {
    let basic = BASE64_STANDARD.encode("mara.quist:pa55-mara-word");
    let inside = BASE64_STANDARD.encode("the key is sk-canary-in-base64-0001 and more of it");
    let gemini = ["AI", "zaSyCanary0000000000000000000000001"].concat();
    let text = format!(
        "# The last request of mara@corp.example.\nset client 81.2.69.142\nset env SEA_KEY sk-canary-env-000000001\n\
         set read \"store.get policy:quota canaryuser77\" \"told to mara.quist@corp.io yesterday\"\n\
         set read \"answers sk-canary-read-0000001\" {{\"body\":\"{{\\\"text\\\":\\\"Marzipan canary\\\"}}\"}}\n\n\
         > client\nPOST /v1/messages?key={gemini}&user=canaryuser77 HTTP/1.1\nHost: gate.test\n\
         Authorization: Bearer sk-canary-header-01\nProxy-Authorization: Basic {basic}\n\
         Cookie: theme=dark; sid=canarycookie0001\nUser-Agent: tool/1.2 (canary@agent.dev; sk-canary-agent-01)\n\
         x-user-id: canaryuser77\nX-Forwarded-For: 81.2.69.142, 2a02:6b8::feed:1\ncontent-type: application/json\n\n\
         {{\"model\":\"claude-x\",\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"tool_result\",\
         \"tool_use_id\":\"toolu_01Canary9abcdefgh\",\"content\":\"{{\\\"deep\\\":[\\\"ghp_canary000000000000000000000000001 \
         Marzipan\\\"]}}\"}},{{\"type\":\"text\",\"text\":\"call +49 170 5550123, {inside} or canarycookie0001\"}}]}}]}}\n\n\
         < upstream sea\nHTTP/1.1 200 OK\nSet-Cookie: t=canarycookie0002x; Path=/\nx-request-id: req_canary0011\n\
         content-type: text/event-stream\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"Marzi\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"pan sk-can\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"ary-stream-0001 in C:\\\\Users\\\\mara\\\\x\"}}}}]}}\n\n"
    );
    for kind in [Text::Replaced, Text::Kept] {
        let made = redacted_as(&case(&text), kind);
        let mut planted = vec![
            "canaryuser77",
            "canarycookie",
            "canary-",
            "ary-stream",
            "81.2.69.142",
            "2a02:6b8",
            "mara",
            "quist",
            "pa55",
            "corp.",
            "agent.dev",
            "Canary",
            "5550123",
            "canary0",
            &basic,
            &inside,
            &gemini,
        ];
        if kind == Text::Replaced {
            planted.extend(["Marzi", "yesterday", "pan sk"]);
        }
        for word in planted {
            assert!(!made.contains(word), "{word} is in\n{made}");
        }
        for kept in [
            "Bearer sk-",
            "theme=",
            "sid=",
            "; Path=/",
            "ghp_",
            "toolu_",
            "claude-x",
            "tool_result",
            "AIza",
            "tool/1.2",
        ] {
            assert!(made.contains(kept), "{kept} is not in\n{made}");
        }
    }
}

#[test]
fn the_same_word_has_the_same_stand_in_everywhere() {
    let made = redacted(
        "# A.\nset read \"store.get policy:quota marzipan\" 3\n\n> client\nPOST /a?name=marzipan HTTP/1.1\n\
         x-user-id: marzipan\ncontent-type: application/json\n\n{\"user\":\"marzipan\",\"text\":\"dear marzipan!\"}\n\n\
         < upstream sea\nHTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n\
         data: {\"delta\":{\"text\":\"marzi\"}}\n\ndata: {\"delta\":{\"text\":\"pan\"}}\n",
    );
    let word = made.lines().find_map(|line| line.strip_prefix("x-user-id: ")).unwrap();
    let (start, end) = word.split_at(5);
    for part in [
        format!("policy:quota {word}\\\" 3").replace('\\', ""),
        format!("?name={word} "),
        format!("\"user\":\"{word}\""),
        format!(" {word}!\""),
        format!("\"text\":\"{start}\""),
        format!("\"text\":\"{end}\""),
    ] {
        assert!(made.contains(&part), "{part} is not in\n{made}");
    }
}

#[test]
fn json_keeps_its_keys_numbers_spaces_and_words_of_its_dialect() {
    let text = "{ \"model\" : \"gpt-4o-2024-08-06\",\n \"temperature\":1.50, \"messages\":[{\"role\":\"user\",\"content\":\"H\\u00e9llo \\\"you\\\"\\n\"}],\
                \"stream\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\",\
                \"properties\":{\"input\":{\"type\":\"string\",\"description\":\"Where\"}},\"required\":[\"input\"]}}}]}";
    let made = body("application/json", text);
    for kept in [
        "{ \"model\" : \"gpt-4o-2024-08-06\",\n \"temperature\":1.50, \"messages\":[{\"role\":\"user\",\"content\":\"",
        " \\\"",
        "\\\"\\n\"}]",
        "\"name\":\"get_tide\",\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",",
        "\"required\":[\"input\"]",
        "\\u04",
    ] {
        assert!(made.contains(kept), "{kept} is not in {made}");
    }
    assert!(!made.contains("llo") && !made.contains("Where"), "{made}");
}

#[test]
fn arguments_of_tools_stay_json_in_pieces_too() {
    let pieces = ["{\"port\": \"Ki", "el\", \"n\": 1.5, \"ok\": tr", "ue, \"to\": nul", "l}"];
    let lines: Vec<String> = pieces
        .iter()
        .map(|piece| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}]}))
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect();
    let made = body("text/event-stream", &lines.concat());
    let told: String = made
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|chunk| {
            chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned()
        })
        .collect();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["n"], &told["ok"], &told["to"]), (&json!(1.5), &json!(true), &json!(null)));
    assert!(told["port"].as_str().unwrap().len() == 4 && told["port"] != "Kiel");
}

#[test]
fn turns_of_a_conversation_still_begin_alike() {
    let turn = |more: &str| json!({"messages": [{"role": "user", "content": "When is high tide in Kiel?"}, {"role": "user", "content": more}]});
    let (first, second) = (json_of(&turn("")), json_of(&turn("And in Brest?")));
    assert_eq!(first["messages"][0], second["messages"][0]);
    assert_ne!(first["messages"][0]["content"], "When is high tide in Kiel?");
}

#[test]
fn ids_keep_their_prefixes_and_stay_the_same_in_both_places() {
    let made = json_of(&json!({"content": [
        {"type": "tool_use", "id": "toolu_01AbCdEfGh2345", "name": "get_tide", "input": {"id": "call_x1"}},
        {"type": "tool_result", "tool_use_id": "toolu_01AbCdEfGh2345", "content": "chatcmpl-549f4199-3264-729e-a529-cda4502f0f48"},
    ]}));
    let id = made["content"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("toolu_") && id != "toolu_01AbCdEfGh2345");
    assert_eq!(made["content"][1]["tool_use_id"], id);
    assert_eq!(made["content"][0]["name"], "get_tide");
    let chat = made["content"][1]["content"].as_str().unwrap();
    assert!(chat.starts_with("chatcmpl-") && chat[9..].split('-').map(str::len).eq([8, 4, 4, 4, 12]), "{chat}");
}

#[test]
fn claude_codes_user_keeps_its_form() {
    let hex = "0123456789abcdef".repeat(4);
    let id =
        format!("user_{hex}_account_549f4199-3264-429e-a529-cda4502f0f48_session_649f4199-3264-429e-a529-cda4502f0f48");
    let made = json_of(&json!({"metadata": {"user_id": id}}));
    let parts: Vec<&str> = made["metadata"]["user_id"].as_str().unwrap().split('_').collect();
    assert_eq!((parts[0], parts[2], parts[4], parts[1].len()), ("user", "account", "session", 64));
    assert!(parts[1].bytes().all(|byte| byte.is_ascii_hexdigit()) && parts[1] != hex);
}

#[test]
fn text_in_base64_is_text_and_other_bytes_are_replaced() {
    let said = BASE64_STANDARD.encode("{\"model\":\"m\",\"text\":\"dear Marzipan\"}");
    let picture =
        format!("data:image/png;base64,iVBORw0KGgo{}", BASE64_STANDARD.encode((0..=255).collect::<Vec<u8>>()));
    let made = json_of(&json!({"a": said, "image_url": {"url": picture}}));
    let inside = String::from_utf8(BASE64_STANDARD.decode(made["a"].as_str().unwrap()).unwrap()).unwrap();
    assert!(inside.starts_with("{\"model\":\"m\",\"text\":\"") && !inside.contains("Marzipan"), "{inside}");
    let shown = made["image_url"]["url"].as_str().unwrap();
    assert!(shown.starts_with("data:image/png;base64,iVBORw0KGgo") && shown.len() == picture.len() && shown != picture);
}

#[test]
fn tokens_and_bytes_of_a_text_are_no_numbers() {
    let made = json_of(
        &json!({"context": [128_006, 9], "bytes": [104, 105, 33], "embedding": [0.25, -1.5], "max_tokens": 64}),
    );
    assert_eq!(
        made,
        json!({"context": [111_111, 1], "bytes": [111, 111, 11], "embedding": [0.25, -1.5], "max_tokens": 64})
    );
}

#[test]
fn a_compressed_body_is_unfolded_and_one_that_cannot_be_is_hidden() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"{\"text\":\"dear Marzipan\"}").unwrap();
    let packed = encoder.finish().unwrap();
    for (bytes, whole) in [(packed.clone(), true), (b"dear Marzipan, dear Marzipan".to_vec(), false)] {
        let mut case = case(&format!(
            "# A.\n> client\nPOST /a HTTP/1.1\ncontent-encoding: gzip\ncontent-length: {}\ncontent-type: application/json\n",
            bytes.len()
        ));
        let half = bytes.len() / 2;
        let piece = |bytes: &[u8]| Piece { pause: Duration::from_millis(5), bytes: Bytes::copy_from_slice(bytes) };
        case.calls[0].body = vec![piece(&bytes[..half]), piece(&bytes[half..])];
        redacted_as(&case, Text::Replaced);
        Redaction::new(KEY, Text::Replaced).case(&mut case);
        let body: Vec<u8> = case.calls[0].body.iter().flat_map(|piece| piece.bytes.to_vec()).collect();
        assert!(!String::from_utf8_lossy(&body).contains("Marzipan"));
        let headers = &case.calls[0].head.headers;
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        assert_eq!(headers.contains_key("content-encoding"), !whole);
        assert_eq!(body.starts_with(b"{\"text\":\""), whole);
    }
}

#[test]
fn the_parts_of_a_form_are_redacted_by_their_types() {
    let form = "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper 1 Marzipan\r\n--b1\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"Marzipan.json\"\r\nContent-Type: application/json\r\n\r\n\
                {\"role\":\"user\",\"content\":\"Marzipan\"}\r\n--b1--\r\n";
    let made = body("multipart/form-data; boundary=b1", form);
    assert!(!made.contains("Marzipan"), "{made}");
    for kept in [
        "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n",
        ".json\"\r\n",
        "{\"role\":\"user\",\"content\":\"",
        "\r\n--b1--\r\n",
    ] {
        assert!(made.contains(kept), "{kept} is not in {made}");
    }
}

#[test]
fn kept_texts_lose_secrets_only() {
    let made = body_as(
        "application/json",
        &"{\"content\":\"In \\\\Users\\\\mara\\\\src mara wrote password = hunter2hunter and 10.20.30.40, sk-abcdefgh12345678\"}".replace("\\\\", "/"),
        Text::Kept,
    );
    assert!(made.contains("wrote password = ") && made.contains(" and 0."), "{made}");
    for gone in ["mara", "hunter2", "10.20.30.40", "abcdefgh"] {
        assert!(!made.contains(gone), "{gone} is in {made}");
    }
}

#[test]
fn json_that_is_broken_off_is_redacted_as_far_as_it_goes() {
    let made = body("application/json", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"dear Marzi");
    assert!(
        made.starts_with("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"") && !made.contains("Marzi"),
        "{made}"
    );
}

#[test]
fn the_report_counts_what_was_replaced() {
    let mut case =
        case("# A.\n> client\nGET /a HTTP/1.1\nAuthorization: Bearer sk-abcdefgh12345678\nx: ada@corp.io 8.8.8.8\n");
    let report = Redaction::new(KEY, Text::Replaced).case(&mut case);
    assert_eq!(report.counts[&Kind::Secret], 1);
    assert_eq!(report.to_string(), "1 secret, 1 e-mail address, 1 IP address");
}

fn words() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z0-9]{1,12}",
        "[ .,:;/=_@+\\-\"\\\\]{1,3}",
        "[é\u{4e00}\u{1f600}Я]{1,3}",
        Just("sk-".to_owned()),
        Just("Bearer ".to_owned()),
        Just("call_".to_owned()),
        Just("/home".to_owned()),
        Just("@a.io".to_owned()),
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "[0-9a-f]{1,4}::[0-9a-f]{1,4}",
        Just("password=".to_owned()),
        Just("https://".to_owned()),
        Just("eyJ".to_owned()),
    ];
    proptest::collection::vec(part, 1..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_text_keeps_its_length_and_is_redacted_once(text in words(), kept in any::<bool>()) {
        let how = if kept { Text::Kept } else { Text::Replaced };
        let made = body_as("text/plain", &text, how);
        let lengths = |text: &str| text.chars().map(char::len_utf8).collect::<Vec<_>>();
        prop_assert_eq!(lengths(&made), lengths(&text));
        let shown = body_as("application/json", &json!({"content": text.clone(), "user": text}).to_string(), how);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        prop_assert_eq!(lengths(shown["content"].as_str().unwrap()), lengths(&made));
    }
}

#[test]
fn headers_that_are_called_keys_are_keys() {
    let text =
        redacted("# A.\n> client\nGET /a HTTP/1.1\nhelicone-auth: hunter2a\nx-litellm-api-key: my-own-secret-word\n");
    assert!(!text.contains("hunter2a") && !text.contains("my-own-secret-word"), "{text}");
}

#[test]
fn the_gates_own_keys_do_not_come_back_in_an_echo() {
    let mut case =
        case("# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\nx-echo: quite-my-own-key\n\nhi\n");
    Redaction::new(KEY, Text::Kept).knowing(vec!["quite-my-own-key".to_owned()]).case(&mut case);
    let text = write(&case);
    assert!(!text.contains("quite-my-own-key"), "{text}");
}
