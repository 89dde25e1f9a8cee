use bytes::Bytes;

use super::*;
use crate::json::{Doc, Limits};

fn home(endpoint: &str) -> Arc<Home> {
    Arc::new(Home { upstream: "openai".to_owned(), endpoint: endpoint.to_owned() })
}

fn stripped(body: &str) -> String {
    let mut doc = Doc::parse(Bytes::from(body.to_owned()), Limits::default()).unwrap();
    strip(&mut doc).unwrap();
    String::from_utf8(doc.render().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_made_is_known_until_its_time_is_over_and_a_second_note_renews_it() {
    let affinity = Affinity::new(Clock::live());
    let (one, two) = (Mark::response("resp_1"), Mark::sealed("resp_1"));
    affinity.put(one, &home("a"), Duration::from_mins(1)).await;
    assert_eq!(affinity.get(&one).await, Some(home("a")));
    assert_eq!(affinity.get(&two).await, None, "an id is no reasoning");
    tokio::time::advance(Duration::from_secs(40)).await;
    affinity.put(one, &home("b"), Duration::from_mins(1)).await;
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(affinity.get(&one).await, Some(home("b")));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(affinity.get(&one).await, None);
    assert!(affinity.is_empty());
}

#[tokio::test]
async fn only_so_many_marks_are_kept() {
    let affinity = Affinity::new(Clock::live());
    let home = home("a");
    for number in 0..MOST + MOST / 4 {
        affinity.put(Mark::response(&number.to_string()), &home, Duration::from_mins(1)).await;
    }
    assert!(affinity.len() <= MOST + MOST / 10, "{}", affinity.len());
}

#[test]
fn sealed_reasoning_is_found_at_any_depth_and_only_in_the_input() {
    let body = br#"{"encrypted_content":"no","tools":[{"encrypted_content":"no"}],"input":[
        {"type":"reasoning","encrypted_content":"one"},
        {"role":"user","content":[{"deep":{"deeper":[[{"encrypted_content":"two"}]]}}]},
        {"encrypted_content":{"encrypted_content":"three"}},{"encrypted_content":null},{"encrypted_content":""}, 1.5, -2, true]}"#;
    let refers = Refers::of(body);
    assert!(!refers.follows());
    assert_eq!(refers.marks(), ["one", "two", "three"].map(Mark::sealed));
}

#[test]
fn the_answer_that_is_followed_says_more_than_the_reasoning() {
    let body = br#"{"previous_response_id":"resp_1","input":[{"encrypted_content":"one"}]}"#;
    assert_eq!(Refers::of(body).marks(), [Mark::response("resp_1")]);
    for none in
        ["{\"previous_response_id\":null}", "{\"previous_response_id\":7}", "{\"previous_response_id\"", "[]", ""]
    {
        assert_eq!(Refers::of(none.as_bytes()).marks(), [], "{none}");
    }
}

#[test]
fn an_answer_is_known_by_its_id_and_its_reasoning() {
    let made: Made =
        serde_json::from_str(r#"{"id":"resp_1","x":1,"output":[{"encrypted_content":"one"},{"id":"msg"}]}"#).unwrap();
    assert_eq!(made.marks().collect::<Vec<_>>(), [Mark::response("resp_1"), Mark::sealed("one")]);
}

#[test]
fn what_is_stripped_is_all_that_changes() {
    let body = "{ \"model\":\"m\",\t\"previous_response_id\" : \"resp_1\",\n \"input\": [ {\"type\":\"reasoning\",\"encrypted_content\":\"x\"},  {\"role\":\"user\", \"content\":\"1e400\"} ] }";
    let expected = "{ \"model\":\"m\",\n \"input\": [ {\"role\":\"user\", \"content\":\"1e400\"} ] }";
    assert_eq!(stripped(body), expected);
    let nested =
        r#"{"input":[{"a":{"encrypted_content":"x","b":[{"encrypted_content":"y"},{"encrypted_content":null}]}}]}"#;
    assert_eq!(stripped(nested), r#"{"input":[{"a":{"b":[{"encrypted_content":null}]}}]}"#);
    assert_eq!(stripped(r#"{"input":"text"}"#), r#"{"input":"text"}"#);
}
