//! What every stream of a dialect must keep to, whoever said it: one start, one end, blocks in order.

use super::*;

/// One start, one end, numbers in order.
pub(super) fn grammar(dialect: Dialect, bytes: &Bytes, name: &str) {
    let text = std::str::from_utf8(bytes).unwrap();
    let count = |what: &str| text.matches(what).count();
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions => {
            assert_eq!(count("data: [DONE]\n\n"), 1, "{name}: {text}");
            assert!(text.ends_with("data: [DONE]\n\n"), "{name}: {text}");
            let ids: Vec<Value> = values(dialect, bytes).into_iter().map(|value| value["id"].clone()).collect();
            assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {text}");
            let roles = values(dialect, bytes);
            let roles = roles.iter().filter(|value| value["choices"][0]["delta"].get("role").is_some()).count();
            assert!(dialect != Dialect::OpenAiChat || roles == 1, "{name}: {text}");
        }
        Dialect::Anthropic => {
            assert_eq!((count("event: message_start"), count("event: message_stop")), (1, 1), "{name}: {text}");
            let mut next = 0;
            let mut open = None;
            for value in values(dialect, bytes) {
                let index = value["index"].as_u64();
                match value["type"].as_str().unwrap() {
                    "content_block_start" => {
                        assert_eq!((open, index), (None, Some(next)), "{name}: {text}");
                        (open, next) = (index, next + 1);
                    }
                    "content_block_delta" => assert_eq!(open, index, "{name}: {text}"),
                    "content_block_stop" => assert_eq!(open.take(), index, "{name}: {text}"),
                    _ => {}
                }
            }
        }
        Dialect::OpenAiResponses => {
            let values = values(dialect, bytes);
            assert_eq!(count("event: response.created"), 1, "{name}: {text}");
            assert_eq!(count("event: response.completed"), 1, "{name}: {text}");
            for (number, value) in values.iter().enumerate() {
                assert_eq!(value["sequence_number"], number, "{name}: {text}");
            }
            let added: Vec<&Value> =
                values.iter().filter(|value| value["type"] == "response.output_item.added").collect();
            for (index, value) in added.iter().enumerate() {
                assert_eq!(value["output_index"], index, "{name}: {text}");
                let id = &value["item"]["id"];
                let of_item =
                    values.iter().filter(|value| value["output_index"] == index && value["item_id"].is_string());
                assert!(of_item.clone().all(|value| value["item_id"] == *id), "{name}: {text}");
            }
            let output = values.last().unwrap()["response"]["output"].as_array().unwrap();
            assert_eq!(output.len(), added.len(), "{name}: {text}");
        }
        _ => {
            let last = values(dialect, bytes).pop().unwrap();
            let ended = last["done"] == true || last["candidates"][0]["finishReason"].is_string();
            assert!(ended, "{name}: {text}");
            let ends = count("\"done\":true") + count("\"finishReason\"");
            assert_eq!(ends, 1, "{name}: {text}");
        }
    }
}

fn values(dialect: Dialect, bytes: &Bytes) -> Vec<Value> {
    let mut splitter = Splitter::new(wire(dialect), 1 << 20);
    splitter.push(bytes.clone());
    let mut values = Vec::new();
    while let Ok(Some(event)) = splitter.next() {
        values.extend(serde_json::from_slice::<Value>(event.data()));
    }
    values
}
