use std::collections::BTreeSet;

use super::*;

#[test]
fn nothing_is_lost_in_silence() {
    let matrix = Matrix::run(&Only::default()).unwrap();
    let mut lost = Vec::new();
    for row in &matrix.rows {
        for cell in row.cells.iter().filter(|cell| cell.verdict == Verdict::Lost) {
            lost.push(format!(
                "{:?} {}: {} to {}: {:?}",
                row.way, row.feature, cell.client, cell.upstream, cell.reasons
            ));
        }
    }
    assert!(lost.is_empty(), "{} cells:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn every_dialect_of_the_data_is_one_that_settings_know() {
    let sides = side::all().unwrap();
    let names: Vec<&str> = sides.iter().map(|side| side.name.as_str()).collect();
    assert_eq!(names, NAMES);
    assert!(sides.iter().all(|side| side.dialect().is_some()));
    for feature in side::requests().unwrap().iter().chain(&side::answers().unwrap()) {
        let strange = feature.asks.keys().chain(feature.finds.keys()).find(|name| !NAMES.contains(&name.as_str()));
        assert_eq!(strange, None, "{}", feature.name);
    }
}

#[test]
fn a_whole_answer_cut_and_joined_is_the_same() {
    for side in side::all().unwrap() {
        for feature in side::answers().unwrap().iter().filter(|feature| feature.asks.contains_key(&side.name)) {
            let mut answer = side.answer.clone();
            body::merge(&mut answer, &feature.asks[&side.name]);
            let (wire, stream) = cut::cut(side.dialect(), &answer);
            let joined = join::join(side.dialect(), wire, stream);
            assert!(feature.is_in(&joined, &side), "{} of {}: {joined}", feature.name, side.name);
        }
    }
}

#[test]
fn one_pair_is_shown_with_its_reasons_and_all_of_them_with_signs() {
    let only = Only { client: Some("openai-chat".to_owned()), upstream: Some("anthropic".to_owned()) };
    let text = Matrix::run(&only).unwrap().text();
    assert!(text.starts_with("requests: openai-chat to anthropic\n"), "{text}");
    assert!(text.contains("seed dropped: there is no such setting"), "{text}");

    let only = Only { client: Some("anthropic".to_owned()), upstream: None };
    let table = Matrix::run(&only).unwrap().markdown();
    let columns: BTreeSet<usize> =
        table.lines().filter(|line| line.starts_with('|')).map(|line| line.matches('|').count()).collect();
    assert_eq!(columns, BTreeSet::from([3]), "{table}");
}
