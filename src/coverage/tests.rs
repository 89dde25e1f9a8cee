//! The certificate has no hole, and a hook that is taken away makes one.

use super::{Certificate, POLICY, Situation, Verdict};
use crate::policy::Hook;

#[test]
fn every_hook_runs_wherever_it_can() {
    let certificate = Certificate::run().unwrap();
    let holes: Vec<String> = certificate.holes().collect();
    assert!(holes.is_empty(), "\n{}\n", holes.join("\n"));
    let ran = certificate.cells.iter().filter(|cell| cell.verdict() == Verdict::Ran).count();
    assert!(ran > 300, "{ran} cells ran");
}

#[test]
fn a_hook_that_is_not_called_is_a_hole_with_a_name() {
    let without = POLICY.replace("  on_response = function()\n    ran(\"on_response\")\n  end,\n", "");
    assert_ne!(without, POLICY);
    let certificate = Certificate::of(&without).unwrap();
    let holes: Vec<String> = certificate.holes().collect();
    assert!(holes.contains(&"on_response of anthropic.messages in hit: it did not run".to_owned()), "{holes:?}");
    assert!(holes.iter().all(|hole| hole.starts_with("on_response of ")), "{holes:?}");
    assert!(certificate.text().contains("hole: on_response of other in whole: it did not run\n"));
}

#[test]
fn a_hook_that_runs_in_spite_of_its_excuse_is_a_hole() {
    let both = POLICY.replace("ran(\"on_log\")", "ran(\"on_log\")\n    ran(\"background\")");
    let holes: Vec<String> = Certificate::of(&both).unwrap().holes().collect();
    let wanted = "background of gemini in stream: it ran, though background work belongs to no call";
    assert!(holes.iter().any(|hole| hole.starts_with(wanted)), "{holes:?}");
}

#[test]
fn the_table_fits_a_terminal_and_says_why() {
    let text = Certificate::run().unwrap().text();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.contains("the joined call makes them"), "{text}");
    assert!(text.ends_with(" 0 holes\n"), "{text}");
}

#[test]
fn programs_get_every_cell() {
    let certificate = Certificate::run().unwrap();
    let json = serde_json::json!(certificate);
    assert_eq!(json["cells"].as_array().unwrap().len(), Hook::ALL.len() * Situation::ALL.len() * 8);
    assert_eq!(json["cells"][0]["hook"], "identify");
    assert_eq!(json["cells"][0]["situation"], "whole");
    assert_eq!(json["cells"][0]["ran"], true);
}
