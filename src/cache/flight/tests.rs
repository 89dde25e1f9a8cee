use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::cache::{Form, Recorder, Recording};
use crate::clock::Clock;
use crate::error::Kind;
use crate::exchange::decision::CacheRule;

fn key(part: &str) -> Key {
    Key::new(
        vec![("part".to_owned(), part.to_owned())],
        &CacheRule::default(),
        None,
        "p",
        &Form { method: "POST", path: "/", dialect: None, stream: None, upstream: "up", model: None },
    )
}

fn leads(flights: &Flights) -> Leading {
    match flights.enter(&key("a")) {
        Role::Leads(leading) => leading,
        other => panic!("{other:?}"),
    }
}

fn follows(flights: &Flights) -> Following {
    match flights.enter(&key("a")) {
        Role::Follows(following) => following,
        other => panic!("{other:?}"),
    }
}

fn fill(leading: &Leading, limit: usize) -> Arc<Fill> {
    let recording = Recording { ttl: Duration::from_secs(1), ..Recording::default() };
    let recorder = Recorder::new(Clock::live(), recording, limit, 200, std::iter::empty());
    Arc::new(Fill::new(recorder, Arc::clone(leading.followers())))
}

#[tokio::test]
async fn whoever_joins_hears_the_answer_from_its_beginning_and_then_live() {
    let flights = Flights::default();
    let leading = leads(&flights);
    assert!(matches!(flights.enter(&key("b")), Role::Leads(_)), "another question is another call");
    let early = follows(&flights);
    let fill = fill(&leading, 100);
    fill.push(&Bytes::from_static(b"one"));
    leading.go(&fill);
    let late = follows(&flights);
    assert_eq!(late.count(), 2);
    for following in [&early, &late] {
        let heard = following.answer().await.unwrap();
        assert_eq!(heard.piece(0).await.unwrap().unwrap(), "one");
    }
    let live = tokio::spawn(async move { late.answer().await.unwrap().piece(1).await });
    tokio::task::yield_now().await;
    fill.push(&Bytes::from_static(b"two"));
    assert_eq!(live.await.unwrap().unwrap().unwrap(), "two");
    fill.end(Ok(()));
    let heard = early.answer().await.unwrap();
    assert!(!heard.has_said(1) && heard.has_said(2));
    assert_eq!(heard.piece(2).await.unwrap(), None);
    assert_eq!(fill.finish(None, None).unwrap().body(), "onetwo");
    assert_eq!(fill.followers().count(), 1, "who is gone is not counted");
}

#[tokio::test]
async fn one_of_those_who_wait_takes_the_place_of_the_one_who_left() {
    let flights = Flights::default();
    let leading = leads(&flights);
    let waiting: Vec<Following> = (0..5).map(|_| follows(&flights)).collect();
    drop(leading);
    for following in &waiting {
        assert!(matches!(following.answer().await, Err(Outcome::Left(_))));
    }
    let roles: Vec<Role> = waiting.iter().map(|_| flights.enter(&key("a"))).collect();
    assert_eq!(roles.iter().filter(|role| matches!(role, Role::Leads(_))).count(), 1);
    assert_eq!(roles.iter().filter(|role| matches!(role, Role::Follows(_))).count(), 4);
    drop(roles);
    assert!(flights.is_empty());
}

#[tokio::test]
async fn an_upstream_that_failed_has_failed_for_all() {
    let flights = Flights::default();
    let leading = leads(&flights);
    let waiting = follows(&flights);
    leading.end(Outcome::Failed(Error::upstream(Kind::Connect, "no")));
    assert!(matches!(waiting.answer().await, Err(Outcome::Failed(error)) if error.kind() == Kind::Connect));
    assert_eq!(flights.len(), 0, "the next one asks anew");
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_all() {
    let flights = Flights::default();
    let leading = leads(&flights);
    let following = follows(&flights);
    let fill = fill(&leading, 100);
    leading.go(&fill);
    fill.push(&Bytes::from_static(b"one"));
    drop(leading);
    let heard = following.answer().await.unwrap();
    assert!(heard.piece(0).await.is_ok());
    assert!(heard.piece(1).await.is_err());
    assert!(fill.finish(None, None).is_err());
}

#[tokio::test]
async fn who_asks_for_what_has_just_failed_leads_anew() {
    let flights = Flights::default();
    let leading = leads(&flights);
    let fill = fill(&leading, 100);
    leading.go(&fill);
    fill.end(Err(Error::gate("no")));
    let Role::Leads(again) = flights.enter(&key("a")) else { panic!("it waits for nothing") };
    drop(leading);
    assert!(matches!(flights.enter(&key("a")), Role::Follows(_)), "the new call is on the list");
    drop(again);
    assert!(flights.is_empty());
}

#[tokio::test]
async fn nobody_joins_an_answer_whose_beginning_is_gone() {
    let flights = Flights::default();
    let leading = leads(&flights);
    let slow = follows(&flights);
    let fill = fill(&leading, 4);
    leading.go(&fill);
    for piece in ["one", "two", "three"] {
        fill.push(&Bytes::from_static(piece.as_bytes()));
    }
    assert!(matches!(flights.enter(&key("a")), Role::Alone));
    let error = slow.answer().await.unwrap().piece(0).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Overloaded);
}
