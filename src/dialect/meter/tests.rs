use std::io::Write;

use super::*;

fn measured(dialect: Dialect, wire: Option<Wire>, text: &str) -> Option<Usage> {
    let mut meter = Meter::new(dialect, wire, None).unwrap();
    for piece in text.as_bytes().chunks(7) {
        meter.read(&Bytes::copy_from_slice(piece));
    }
    meter.usage(Some(400))
}

#[test]
fn the_last_word_counts_and_nothing_is_added_up() {
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n\
                data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let usage = measured(Dialect::OpenAiChat, Some(Wire::Sse), text).unwrap();
    assert_eq!((usage.input, usage.output, usage.estimated), (9, 2, false));
}

#[test]
fn anthropics_start_and_end_make_one_count() {
    let text = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\
                \"cache_read_input_tokens\":20,\"output_tokens\":1}}}\n\n\
                event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
                \"usage\":{\"output_tokens\":7}}\n\n";
    let usage = measured(Dialect::Anthropic, Some(Wire::Sse), text).unwrap();
    assert_eq!((usage.input, usage.output, usage.cache_read), (25, 7, Some(20)));
}

#[test]
fn whole_answers_are_counted() {
    let told = [
        (Dialect::OpenAiChat, "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}"),
        (
            Dialect::OpenAiResponses,
            "{\"object\":\"response\",\"output\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
        ),
        (
            Dialect::Anthropic,
            "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
        ),
        (
            Dialect::OllamaChat,
            "{\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":3,\"eval_count\":4}",
        ),
        (Dialect::Gemini, "{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4}}"),
    ];
    for (dialect, text) in told {
        let usage = measured(dialect, None, text).unwrap();
        assert_eq!((usage.input, usage.output), (3, 4), "{dialect:?}");
    }
}

#[test]
fn where_nothing_is_said_the_guess_is_marked() {
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n: nothing\n\ndata: [DONE]\n\n";
    let usage = measured(Dialect::OpenAiChat, Some(Wire::Sse), text).unwrap();
    assert_eq!((usage.input, usage.output, usage.estimated), (100, 2, true));
    assert_eq!(measured(Dialect::OpenAiChat, None, "{\"choices\":[]}"), None);
}

#[test]
fn compressed_answers_are_counted_and_rubbish_is_not() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}").unwrap();
    let body = Bytes::from(encoder.finish().unwrap());
    let mut meter = Meter::new(Dialect::OpenAiChat, None, Some("gzip")).unwrap();
    meter.read(&body);
    assert_eq!(meter.usage(None).unwrap().output, 4);
    let mut meter = Meter::new(Dialect::OpenAiChat, None, Some("gzip")).unwrap();
    meter.read(&Bytes::from_static(b"no gzip"));
    assert_eq!(meter.usage(None), None);
    assert!(Meter::new(Dialect::OpenAiChat, None, Some("compress")).is_none());
}
