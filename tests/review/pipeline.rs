//! A pipeline: exit codes that mean something, all differences in one text or object, no two acceptances at once.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::bundle::{Bundle, printed};

#[test]
fn a_pipeline_fails_until_exactly_this_bundle_is_accepted() {
    let bundle = Bundle::edited(8);
    let refused = bundle.review(&["--ci"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = printed(&refused);
    for shown in [
        "6 cases: header x-user added to what upstream sea is sent\n",
        ": user0, user1, user2 and 3 more\n",
        "  in ship/000, ship/001, ship/002, ship/004, ship/005, ship/006\n",
        "\n+    x-user: user0\n",
        "2 cases: header x-team added",
        "8 cases: 8 differ; generation ",
    ] {
        assert!(text.contains(shown), "{shown} is not in\n{text}");
    }
    assert!(bundle.review(&["--accept-all", "--name", "Ada"]).status.success());
    let accepted = bundle.review(&["--ci"]);
    assert!(accepted.status.success());
    assert!(printed(&accepted).contains("8 cases: nothing differs; generation "), "{}", printed(&accepted));

    bundle.write("mark.lua", &format!("{}-- Another state.\n", bundle.read("mark.lua")));
    let other = bundle.review(&["--ci"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(printed(&other).contains("not accepted: it was not reviewed yet"), "{}", printed(&other));
}

#[test]
fn strays_and_cases_that_cannot_be_played_fail_too() {
    let bundle = Bundle::accepted(2);
    fs::remove_file(bundle.path().join("cases/ship/000.http")).unwrap();
    let stray = bundle.review(&["--ci"]);
    assert_eq!(stray.status.code(), Some(1));
    assert!(printed(&stray).contains("ship/000: a snapshot without a case"), "{}", printed(&stray));
    bundle.write("cases/ship/broken.http", "no case\n");
    let faulty = bundle.review(&["--accept-all", "--name", "Ada"]);
    assert_eq!(faulty.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&faulty.stderr).contains("cases/ship/broken.http:1:1: "));
    assert!(!bundle.path().join("snapshots/ship/000.snap").exists());
    assert!(printed(&bundle.review(&["--ci"])).contains("1 cannot be played"));
}

#[test]
fn a_snapshot_changed_by_hand_takes_the_acceptance_back() {
    let bundle = Bundle::accepted(2);
    let snapshot = bundle.read("snapshots/ship/001.snap");
    bundle.write("snapshots/ship/001.snap", &snapshot.replace("At six.", "At nine."));
    let output = bundle.review(&["--ci"]);
    assert_eq!(output.status.code(), Some(1));
    let why = "not accepted: Grace accepted it with other snapshots: `ship/001` was changed";
    assert!(printed(&output).contains(why), "{}", printed(&output));
}

#[test]
fn a_bundle_with_faults_is_told_with_its_own_exit_code() {
    let bundle = Bundle::edited(1);
    bundle.write("mark.lua", "return policy {");
    let output = bundle.review(&["--ci"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("mark.lua:1"), "{output:?}");
}

#[test]
fn programs_get_one_object() {
    let bundle = Bundle::edited(4);
    let output = bundle.review(&["--ci", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(told["ok"], false);
    assert_eq!(told["generation"], bundle.hash().full());
    assert_eq!(told["groups"][0]["cases"], serde_json::json!(["ship/000", "ship/001", "ship/002"]));
    assert_eq!(told["groups"][0]["changes"][0]["values"][0], serde_json::json!(["user0", 1]));
    assert_eq!((&told["cases"][3]["outcome"], &told["cases"][3]["name"]), (&"differs".into(), &"ship/003".into()));
    assert!(told["cases"][3]["new"].as_str().unwrap().contains("x-team: sea"));

    let chosen = bundle.review(&["--accept-all", "--json", "--name", "Ada", "--filter", "003"]);
    let told: Value = serde_json::from_str(&printed(&chosen)).unwrap();
    assert_eq!((&told["accepted"], &told["ok"]), (&serde_json::json!(["ship/003"]), &false.into()));
    assert_eq!(chosen.status.code(), Some(1));
    let rest = bundle.review(&["--accept-all", "--json", "--name", "Ada"]);
    let told: Value = serde_json::from_str(&printed(&rest)).unwrap();
    assert_eq!((&told["ok"], rest.status.code()), (&true.into(), Some(0)));
}

#[test]
fn of_two_people_at_once_one_accepts() {
    for _ in 0..6 {
        let bundle = Bundle::edited(6);
        let start = |name: &str| {
            let mut command = bundle.command(&["--accept-all", "--name", name]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let both = [("Ada", start("Ada")), ("Alan", start("Alan"))];
        let mut accepted = Vec::new();
        for (name, child) in both {
            let output = child.wait_with_output().unwrap();
            let (out, err) = (printed(&output), String::from_utf8_lossy(&output.stderr).into_owned());
            if out.contains(&format!(" by {name}: 6 snapshots written")) {
                accepted.push(name);
            } else {
                let told = err.contains("meanwhile; run review again") || out.contains("accepted by A");
                assert!(told, "{name}: {out}{err}");
            }
        }
        let [by] = accepted.as_slice() else { panic!("accepted by {accepted:?}") };
        let record = bundle.read(&format!("reviews/{}.toml", bundle.hash()));
        assert!(record.contains(&format!("accepted_by = \"{by}\"")), "{record}");
        assert!(bundle.review(&["--ci"]).status.success());
    }
}
