use super::*;

fn read(text: &str) -> Abort {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wrong(text: &str) -> String {
    text.parse::<Abort>().unwrap_err().to_string()
}

fn sample(exchanges: u64, policy_errors: u64, errors: u64, millis: u64) -> Sample {
    let time = Some(Duration::from_millis(millis));
    Sample { exchanges, policy_errors, errors, p50: time, p99: time, first: time }
}

fn holds(text: &str, canary: &Sample, live: &Sample) -> bool {
    read(text).met(canary, live).is_some()
}

#[test]
fn what_is_read_is_shown_as_it_was_meant() {
    for (text, shown) in [
        ("policy_errors>0 or p99>+20%", "policy_errors>0 or p99>+20%"),
        ("  errors >= 2.5% and p50<=2s ", "errors>=2.5% and p50<=2000ms"),
        ("first < -10%", "first<-10%"),
        ("errors>5 and p99>1m or policy_errors>+0%", "errors>5 and p99>60000ms or policy_errors>+0%"),
    ] {
        assert_eq!(read(text).to_string(), shown);
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_what_is_known() {
    for (text, place, parts) in [
        ("", 1, &["begins with", "policy_errors, errors, p50, p99, first"][..]),
        ("p98>1s", 1, &["`p98` is not one of", "did you mean `p99`?"]),
        ("lua_errors>0", 1, &["`lua_errors` is not one of"]),
        ("errors 5", 8, &["one of >, >=, < and <= after `errors`"]),
        ("p99>800", 5, &["`800` is neither a time like 800ms", "+20%"]),
        ("p99>20%", 5, &["`20%` is neither"]),
        ("errors>+20", 8, &["`+20` is neither a number"]),
        ("errors>", 8, &["after the sign stands a number"]),
        ("errors>0 || p99>1s", 10, &["write `or` or `and`"]),
        ("errors>0 or", 12, &["begins with"]),
        ("errors>0 p99>1s", 10, &["write `or` or `and`"]),
        ("ä>0", 1, &["`ä` is not one of"]),
        ("errors>nan", 8, &["neither"]),
        ("errors>inf%", 8, &["neither"]),
    ] {
        let said = wrong(text);
        assert!(said.starts_with(&format!("at character {place}: ")), "{text}: {said}");
        for part in parts {
            assert!(said.contains(part), "{text}: {said} lacks {part}");
        }
    }
}

#[test]
fn nothing_that_is_typed_breaks_the_reader() {
    let pieces = ["errors", ">", ">=", "+20%", "2%", "or", "and", " ", "ü", "800ms", "<", "=", "|", "-", "%"];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let text: String = (0..random.usize(0..9)).map(|_| pieces[random.usize(..pieces.len())]).collect();
        if let Ok(abort) = text.parse::<Abort>() {
            assert_eq!(read(&abort.to_string()), abort, "{text}");
        }
    }
}

#[test]
fn plain_bounds_hold_from_the_first_exchange_on() {
    let live = Sample::default();
    assert!(holds("policy_errors>0", &sample(0, 1, 0, 1), &live));
    assert!(!holds("policy_errors>0", &sample(9, 0, 0, 1), &live));
    assert!(holds("errors>=10%", &sample(10, 0, 1, 1), &live));
    assert!(!holds("errors>10%", &sample(10, 0, 1, 1), &live));
    assert!(!holds("errors>10%", &Sample::default(), &live), "nothing ended yet");
    assert!(holds("p99>800ms", &sample(1, 0, 0, 801), &live));
    assert!(!holds("p99>800ms", &Sample::default(), &live));
}

#[test]
fn both_sides_are_compared_once_there_are_enough() {
    let slow = |exchanges| sample(exchanges, 0, 5, 121);
    let live = |exchanges| sample(exchanges, 0, 4, 100);
    assert!(holds("p99>+20%", &slow(50), &live(50)));
    assert!(!holds("p99>+20%", &slow(49), &live(50)));
    assert!(!holds("p99>+20%", &slow(50), &live(49)));
    assert!(!holds("p99>+25%", &slow(50), &live(50)));
    assert!(holds("errors>+20%", &slow(50), &live(50)), "10 % are more than 8 % and a fifth of it");
    assert!(!holds("errors>+20%", &slow(500), &live(50)), "shares are compared, not counts");
    assert!(holds("policy_errors>+0%", &sample(50, 1, 0, 1), &sample(50, 0, 0, 1)));
}

#[test]
fn and_binds_before_or_and_the_figures_are_told() {
    let (canary, live) = (sample(60, 0, 6, 150), sample(600, 0, 6, 100));
    assert!(!holds("policy_errors>0 and errors>1%", &canary, &live));
    let met = read("policy_errors>0 or errors>1% and p99>+20%").met(&canary, &live).unwrap();
    assert_eq!(met.figures, "errors>1%: 10.0 % of 60, p99>+20%: 150.0 ms, live 100.0 ms");
    assert_eq!(
        met.conditions.iter().map(|condition| condition.metric).collect::<Vec<_>>(),
        [Metric::Errors, Metric::P99]
    );
}
