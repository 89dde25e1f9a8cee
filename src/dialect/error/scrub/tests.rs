//! Keys and internal addresses go, everything else stays.

use super::scrub;

#[test]
fn keys_are_masked() {
    let key = "A1b2C3d4E5f6G7h8I9j0K1l2";
    for (text, clean) in [
        (format!("bad key sk-ant-{key}."), "bad key sk-***.".to_owned()),
        (format!("use ?key=AIza{key}&alt=sse"), "use ?key=AIza***&alt=sse".to_owned()),
        (format!("gsk_{key} xai-{key}"), "gsk_*** xai-***".to_owned()),
        (format!("Authorization: Bearer {key}"), "Authorization: Bearer ***".to_owned()),
        (format!("Wrong API key: {key}"), "Wrong API key: ***".to_owned()),
        ("api-key \"01234567-89ab-cdef-0123-456789abcdef\"".to_owned(), "api-key \"***\"".to_owned()),
    ] {
        assert_eq!(scrub(&text), clean);
    }
}

#[test]
fn internal_addresses_are_masked() {
    for (text, clean) in [
        ("dial tcp 10.1.2.3:11434: connection refused", "dial tcp [internal]: connection refused"),
        ("at http://192.168.0.7:8000/v1/chat", "at http://[internal]/v1/chat"),
        ("at 172.20.0.2, or (127.0.0.1:80)", "at [internal], or ([internal])"),
        ("[fd00::7]:443 and ::1 and [::1]", "[internal] and [internal] and [internal]"),
        ("llm-3.pool.internal and gpu.local:80", "[internal] and [internal]"),
        ("Post \"http://localhost:11434/api/chat\"", "Post \"http://[internal]/api/chat\""),
        ("http://ollama:11434/api", "http://[internal]/api"),
    ] {
        assert_eq!(scrub(text), clean);
    }
}

#[test]
fn plain_words_stay_and_are_not_copied() {
    for text in [
        "You can find your key at https://platform.example.com/account/api-keys.",
        "maximum context length is 1048565 tokens, model gpt-4o-mini-2024-07-18",
        "a risk-free sk-learn task at 8.8.8.8, 12:30:45 local",
        "keys: messages[0].content[1].image_url, ratio 1.5:2",
        "日本語のエラー: キーが無効です",
    ] {
        assert!(matches!(scrub(text), std::borrow::Cow::Borrowed(same) if same == text), "{}", scrub(text));
    }
}

#[test]
fn go_s_words_on_a_broken_connection_lose_both_ends() {
    let text = "read tcp 10.0.0.1:5->10.0.0.2:443: reset";
    assert_eq!(scrub(text), "read tcp [internal]>[internal]: reset");
}

proptest::proptest! {
    #[test]
    fn no_words_around_them_save_a_key_or_an_address(
        before in "(\\PC|sk-|key |[=.:/\\[\\]@%]|10\\.|://|fd::|Bearer ){0,60}",
        after in "(\\PC|sk-|[=.:/\\[\\]@%]|10\\.|://|fd::){0,60}",
    ) {
        let scrubbed = scrub(&format!("{before} sk-Aa1Bb2Cc3Dd4Ee5Ff6 10.1.2.3:8080 {after}")).into_owned();
        proptest::prop_assert!(!scrubbed.contains("Cc3Dd4") && !scrubbed.contains("10.1.2.3"), "{}", scrubbed);
    }
}

#[test]
fn a_long_text_is_cut() {
    let scrubbed = scrub(&"é".repeat(5_000)).into_owned();
    assert_eq!((scrubbed.chars().count(), scrubbed.ends_with('…')), (2_001, true));
}
