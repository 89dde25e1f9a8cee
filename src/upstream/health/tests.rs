//! What outlives a generation, what is told to other gates, and what attempts do to an endpoint's state.

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::error::{Error, Kind};
use crate::settings;
use crate::upstream::{Upstream, build};

const SETTINGS: &str = "[upstreams.up]\nendpoints = [{ name = \"a\", url = \"http://127.0.0.1:1\" }, { name = \"b\", url = \"http://127.0.0.1:2\" }]\n";

fn upstreams(text: &str) -> Upstreams {
    build::upstreams(&settings::parse(text, "tidegate.toml").unwrap_or_else(|faults| panic!("{faults:?}")))
}

struct Scene {
    health: Health,
    clock: Clock,
    generation: Upstreams,
}

impl Scene {
    fn new(more: &str) -> Self {
        let clock = Clock::live();
        let health = Health::new(clock, Arc::new(Metrics::new()));
        let generation = upstreams(&format!("{SETTINGS}{more}"));
        health.attach(&generation);
        Self { health, clock, generation }
    }

    fn upstream(&self) -> &Arc<Upstream> {
        self.generation.get("up").unwrap()
    }

    fn endpoint(&self, at: usize) -> &Arc<Endpoint> {
        &self.upstream().endpoints[at]
    }

    fn ticket(&self, model: Option<&str>) -> Option<Ticket> {
        let ask = Ask { model, now: self.clock.elapsed(), ..Ask::default() };
        Ticket::take(self.upstream(), self.endpoint(0), &ask, self.clock, false)
    }

    fn fail(&self, times: usize, model: Option<&str>, kind: Kind) {
        for _ in 0..times {
            self.ticket(model).expect("leave").failed(&Error::upstream(kind, "no"));
        }
    }

    fn fitness(&self, at: usize, model: Option<&str>) -> Fitness {
        let ask = Ask { model, now: self.clock.elapsed(), ..Ask::default() };
        self.endpoint(at).vitals().fitness(&self.upstream().breaker, 5, &ask)
    }

    fn is_open(&self, model: Option<&str>) -> bool {
        matches!(self.fitness(0, model), Fitness::Open(_))
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_known_outlives_a_generation_and_is_forgotten_with_the_last() {
    let scene = Scene::new("");
    scene.fail(5, None, Kind::Reset);
    let next = upstreams(SETTINGS);
    scene.health.attach(&next);
    let moved = upstreams(&SETTINGS.replace("127.0.0.1:1\"", "127.0.0.1:3\""));
    scene.health.attach(&moved);
    let Scene { health, generation, clock } = scene;
    drop(generation);
    let state = |upstreams: &Upstreams| {
        let upstream = upstreams.get("up").unwrap();
        let ask = Ask { now: clock.elapsed(), ..Ask::default() };
        upstream.endpoints[0].vitals().fitness(&upstream.breaker, 5, &ask)
    };
    assert!(matches!(state(&next), Fitness::Open(_)), "the same endpoint in the next generation");
    assert_eq!(state(&moved), Fitness::Fit, "another address is another endpoint");
    assert_eq!(health.len(), 3);
    drop((next, moved));
    assert!(health.is_empty());
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_judged_each_by_itself() {
    let scene = Scene::new("");
    scene.fail(5, None, Kind::Timeout);
    assert!(scene.is_open(None));
    assert_eq!(scene.fitness(1, None), Fitness::Fit);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_endpoints_fault_never_counts() {
    let scene = Scene::new("");
    for _ in 0..50 {
        scene.ticket(None).unwrap().failed(&Error::client(Kind::ClientGone, 499, "left"));
        scene.ticket(None).unwrap().failed(&Error::upstream(Kind::TooLarge, "more than is held"));
        drop(scene.ticket(None).unwrap());
        for status in [400, 401, 403, 404, 413, 422, 501] {
            scene.ticket(None).unwrap().judged(status).expect("it is kept").served(None);
        }
    }
    assert_eq!(scene.fitness(0, None), Fitness::Fit);
    assert_eq!(scene.endpoint(0).vitals().under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_the_endpoints_fault_counts() {
    for status in [408, 500, 502, 503, 504] {
        let scene = Scene::new("");
        (0..5).for_each(|_| assert!(scene.ticket(None).unwrap().judged(status).is_none()));
        assert!(scene.is_open(None), "{status}");
    }
    for kind in [Kind::Connect, Kind::Tls, Kind::Reset, Kind::Timeout, Kind::Garbage, Kind::StreamError] {
        let scene = Scene::new("");
        scene.fail(5, None, kind);
        assert!(scene.is_open(None), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_refuses_is_spared_for_as_long_as_it_asks_and_does_not_open() {
    let scene = Scene::new("");
    for _ in 0..20 {
        let mut ticket = scene.ticket(None).unwrap();
        ticket.heard(429, &headers(&[("retry-after", "30")]), || true);
        assert!(ticket.judged(429).is_none());
    }
    assert_eq!(scene.fitness(0, None), Fitness::Spared);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(scene.fitness(0, None), Fitness::Fit);
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_clients_own_key_say_nothing_about_the_endpoint() {
    let scene = Scene::new("");
    let none_left = headers(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "60s")]);
    let mut ticket = scene.ticket(None).unwrap();
    ticket.heard(200, &none_left, || false);
    assert_eq!(scene.fitness(0, None), Fitness::Fit);
    ticket.heard(200, &none_left, || true);
    assert_eq!(scene.fitness(0, None), Fitness::Spared);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_leaves_the_others_alone() {
    let scene = Scene::new("breaker.per_model = true\n");
    scene.fail(5, Some("bad"), Kind::Timeout);
    assert!(scene.is_open(Some("bad")) && !scene.is_open(Some("good")) && !scene.is_open(None));
    assert!(scene.ticket(Some("bad")).is_none() && scene.ticket(Some("good")).is_some());
    scene.fail(5, Some("good"), Kind::Connect);
    assert!(scene.is_open(Some("other")), "nobody is there, for no model");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_a_failure_where_that_is_wanted() {
    let scene = Scene::new("breaker.slow = \"30s\"\n");
    for _ in 0..5 {
        let mut ticket = scene.ticket(None).unwrap();
        tokio::time::advance(Duration::from_secs(31)).await;
        ticket.heard(200, &HeaderMap::new(), || true);
        ticket.served(None);
    }
    assert!(scene.is_open(None));
}

#[tokio::test(start_paused = true)]
async fn other_gates_are_told_and_take_it_over() {
    let (one, other) = (Scene::new(""), Scene::new(""));
    let mut changes = one.health.changes();
    one.fail(5, None, Kind::Reset);
    let change = changes.try_recv().unwrap();
    assert_eq!((change.upstream.as_str(), change.endpoint.as_str(), change.state), ("up", "a", State::Open));
    let carried = serde_json::from_str::<Change>(&serde_json::to_string(&change).unwrap()).unwrap();
    let mut echoes = other.health.changes();
    other.health.adopt(&carried);
    assert!(other.is_open(None));
    assert!(echoes.try_recv().is_err(), "what was told is not told on");
    let standing =
        |scene: &Scene| scene.health.standing().into_iter().map(|it| Change { at: 0, ..it }).collect::<Vec<_>>();
    assert_eq!(standing(&one), standing(&other));
    one.health.reset(Some("up"), None);
    other.health.adopt(&changes.try_recv().unwrap());
    assert_eq!(other.fitness(0, None), Fitness::Fit);
}

#[tokio::test(start_paused = true)]
async fn nonsense_of_other_gates_does_little() {
    let scene = Scene::new("");
    let forever = Change {
        upstream: "up".into(),
        endpoint: "a".into(),
        model: None,
        state: State::Open,
        until: u64::MAX,
        openings: u32::MAX,
        at: u64::MAX,
    };
    scene.health.adopt(&Change { endpoint: "nobody".into(), ..forever.clone() });
    assert_eq!(scene.fitness(0, None), Fitness::Fit);
    scene.health.adopt(&forever);
    assert!(scene.is_open(None));
    tokio::time::advance(Duration::from_hours(2)).await;
    assert_eq!(scene.fitness(0, None), Fitness::Trial);
    let told = scene.health.dated(forever);
    assert!(told.at < u64::MAX && !scene.health.is_past(&told, Duration::ZERO), "it was no later than now");
    scene.fail(1, None, Kind::Reset);
    assert!(scene.is_open(None));
}

#[tokio::test(start_paused = true)]
async fn a_reset_closes_and_forgets() {
    let scene = Scene::new("breaker.per_model = true\n");
    scene.fail(5, Some("m"), Kind::Timeout);
    scene.fail(5, None, Kind::Connect);
    assert_eq!(scene.health.reset(Some("up"), Some("nobody")), 0);
    assert_eq!(scene.health.reset(Some("up"), Some("a")), 1);
    assert_eq!((scene.fitness(0, None), scene.fitness(0, Some("m"))), (Fitness::Fit, Fitness::Fit));
}

#[tokio::test(start_paused = true)]
async fn status_tells_all_of_it_and_no_secret() {
    let scene = Scene::new("headers.authorization = \"Bearer sk-secret\"\n");
    let mut ticket = scene.ticket(None).unwrap();
    tokio::time::advance(Duration::from_millis(200)).await;
    let limits = [
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-ratelimit-reset-requests", "6s"),
    ];
    ticket.heard(200, &headers(&limits), || true);
    tokio::time::advance(Duration::from_secs(2)).await;
    ticket.served(Some(100));
    scene.fail(5, None, Kind::Reset);
    let shown = show_endpoint(scene.endpoint(0), &scene.upstream().breaker, scene.clock.elapsed());
    assert_eq!(
        (&shown["state"], &shown["total"], &shown["failed"]),
        (&"open".into(), &6.into(), &5.into()),
        "{shown:#}"
    );
    assert_eq!((&shown["openings"], &shown["half_open_in"]), (&1.into(), &15.0.into()), "{shown:#}");
    assert_eq!(
        (&shown["tokens_per_second"], &shown["last_error"]["kind"]),
        (&50.0.into(), &"reset".into()),
        "{shown:#}"
    );
    assert_eq!((&shown["limits"][0]["remaining"], &shown["under_way"]), (&4.into(), &0.into()), "{shown:#}");
    assert!(!shown.to_string().contains("secret"));
}
