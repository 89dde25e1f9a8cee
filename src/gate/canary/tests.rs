use super::*;
use crate::generation::Candidate;
use crate::settings::Settings;

fn generation() -> Arc<Generation> {
    let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
    let settings = Settings::drop_in("http://127.0.0.1:9", addresses[0], addresses[1]).unwrap();
    let gate = crate::gate::live::start(Candidate::drop_in(settings).unwrap(), 1, Arc::default()).unwrap();
    gate.live.load_full()
}

fn canary(percent: f64, by: By, key: u8) -> Canary {
    let live = generation();
    let hash = Hash::from_full(&"0a".repeat(32)).unwrap();
    let order = Order { percent, by, time: None, abort: None };
    Canary::new(Arc::clone(&live), hash, order, &live, &[key; 32])
}

fn user(name: &str) -> Identity {
    Identity { user: Some(name.to_owned()), session: Some(format!("s-{name}")), ..Identity::default() }
}

fn taken(canary: &Canary) -> Vec<usize> {
    let here = "10.0.0.1".parse().unwrap();
    (0..2000).filter(|number| canary.takes(&user(&format!("user{number}")), here)).collect()
}

#[test]
fn a_share_is_about_as_large_as_asked_and_always_the_same() {
    let some = taken(&canary(5.0, By::User, 1));
    assert!((60..140).contains(&some.len()), "{}", some.len());
    assert_eq!(taken(&canary(5.0, By::User, 1)), some);
    let more = taken(&canary(20.0, By::User, 1));
    assert!(some.iter().all(|user| more.contains(user)), "who was served by it still is");
    assert_ne!(taken(&canary(5.0, By::User, 2)), some, "nobody knows who without the key");
    assert_eq!(taken(&canary(0.0, By::User, 1)).len(), 0);
    assert_eq!(taken(&canary(100.0, By::User, 1)).len(), 2000);
}

#[test]
fn who_is_unknown_is_told_by_the_address() {
    let canary = canary(50.0, By::User, 1);
    let nobody = Identity::default();
    let took = |address: &str| canary.takes(&nobody, address.parse().unwrap());
    let by_address: Vec<bool> = (0..40).map(|number| took(&format!("10.0.0.{number}"))).collect();
    assert!(by_address.contains(&true) && by_address.contains(&false));
    assert_eq!(took("10.0.0.7"), took("::ffff:10.0.0.7"), "the same address in either spelling");
}
