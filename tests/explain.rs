//! An explanation is the truth: whatever policies asked of state, time, chance and other services, an exchange that is
//! played again comes to the same hooks, attempts and bytes.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without is there, or the test fails")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::admin::Board;
use tidegate::bundle;
use tidegate::case::Player;
use tidegate::edge::{Listener, Server};
use tidegate::exchange::{AttemptRecord, Reason};
use tidegate::gate::{Gate, live};
use tidegate::generation::Candidate;
use tidegate::mock;
use tidegate::replay::truth;
use tidegate::tape::{Taken, Watch};
use tidegate::upstream::dial::Dialer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The allocator of the binary: most of what a play does is small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Random requests that are sent.
const REQUESTS: usize = 10_000;

/// Of those, how many may have come out the other way where two things fell into one millisecond.
const TIES: usize = 10;

/// Clients that send them at once.
const CLIENTS: usize = 16;

#[test]
fn ten_thousand_random_exchanges_are_explained_as_they_were() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let begun = Instant::now();
    let (taken, adjust) = runtime.block_on(exchanges());
    println!("{} exchanges after {:.1?}", taken.len(), begun.elapsed());
    runtime.shutdown_background();
    assert!(taken.len() >= REQUESTS, "{} exchanges were kept", taken.len());
    let players: Vec<Player> = vec![Player::as_served(Arc::clone(&taken[0].bundle), adjust)];
    let wrong = tidegate::case::on_all_processors(&taken, |taken| {
        let played = players[0].replay(taken, Watch::Nothing).unwrap();
        let differences = truth::differences(&taken.facts, &played);
        (!differences.is_empty()).then(|| {
            format!(
                "{} {}, cache {:?}, {}: {}\n  {}",
                taken.facts.id,
                taken.facts.target,
                taken.facts.cache,
                taken.facts.reason.as_str(),
                differences.join("\n  "),
                story(taken)
            )
        })
    });
    let wrong = taken.iter().zip(wrong).filter_map(|(taken, wrong)| Some((is_tied(taken), wrong?)));
    let (tied, wrong): (Vec<_>, Vec<_>) = wrong.partition(|(tied, _)| *tied);
    let all = wrong.iter().chain(&tied).map(|(_, wrong)| wrong.as_str());
    assert!(
        wrong.is_empty() && tied.len() <= TIES,
        "{} of {} differ, and {} beside them, such as\n{}",
        wrong.len(),
        taken.len(),
        tied.len(),
        all.take(20).collect::<Vec<_>>().join("\n")
    );
    println!("played again after {:.1?}", begun.elapsed());
    let spread = spread(&taken);
    println!("{}", spread.join("\n"));
    assert!(spread.len() > 12, "the exchanges are too much alike: {spread:?}");
    for (what, count) in rare(&taken) {
        println!("{count:>6} {what}");
        assert!(count >= 20, "only {count} {what}");
    }
    let guesses = taken.iter().take(500).filter(|taken| guess(&players[0], taken)).count();
    assert!(guesses < 50, "{guesses} of 500 came to the same although nothing was told of state, time and chance");
}

/// Whether a client left, or heard a sign of life: within one millisecond a tape knows no order of that and a piece of
/// the answer.
fn is_tied(taken: &Taken) -> bool {
    let signs = taken.case.setup.reads.iter().any(|read| read.what.starts_with("signs"));
    signs || taken.facts.reason == Reason::ClientGone
}

/// Whether an exchange comes to the same when it is told nothing from outside.
fn guess(player: &Player, taken: &Taken) -> bool {
    let mut case = taken.case.clone();
    case.setup.reads.clear();
    truth::differences(&taken.facts, &player.play(&case).unwrap()).is_empty()
}

/// What the exchanges came to: a test whose exchanges are all alike shows little.
fn spread(taken: &[Arc<Taken>]) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for taken in taken {
        let facts = &taken.facts;
        let key = format!("{:?} {} attempts, cache {}", facts.status, facts.attempts.len(), facts.cache.as_str());
        *counts.entry(key).or_default() += 1;
    }
    counts.iter().map(|(key, count)| format!("{count:>6} {key}")).collect()
}

/// What an exchange that does not come to the same went through.
fn story(taken: &Taken) -> String {
    let attempts = taken.facts.attempts.iter().map(|attempt| {
        let beside = if attempt.beside { " beside" } else { "" };
        let goes_on = if attempt.goes_on.is_some() { " goes on" } else { "" };
        let error = attempt.error.as_ref().map_or("", |error| error.kind().as_str());
        format!("{}={:?}{error}{beside}{goes_on} {:?}", attempt.endpoint, attempt.status, attempt.queued)
    });
    let reads = taken.case.setup.reads.iter().filter(|read| read.what.starts_with("signs"));
    let signs = reads.map(|read| format!("{} {}", read.what, read.value));
    attempts.chain(signs).collect::<Vec<_>>().join("; ")
}

/// How many of what needs two upstreams, or a line before one.
fn rare(taken: &[Arc<Taken>]) -> [(&'static str, usize); 4] {
    let count =
        |is: fn(&AttemptRecord) -> bool| taken.iter().filter(|taken| taken.facts.attempts.iter().any(is)).count();
    let noted = |what: &str| {
        let is = |taken: &&Arc<Taken>| taken.case.setup.reads.iter().any(|read| read.what.starts_with(what));
        taken.iter().filter(is).count()
    };
    [
        ("went on elsewhere", count(|attempt| attempt.goes_on.is_some() && attempt.status == Some(200))),
        ("were asked of two at once", count(|attempt| attempt.beside)),
        ("waited in line", count(|attempt| attempt.queued.is_some_and(|queued| queued.position > 0))),
        ("heard signs of life", noted("signs of life")),
    ]
}

type Adjust = tidegate::gate::reload::Adjust;

/// Sends random requests through a gate, and returns what it kept of them.
async fn exchanges() -> (Vec<Arc<Taken>>, Arc<Adjust>) {
    let upstream = upstream().await;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain/bundle");
    let adjust: Arc<Adjust> = Arc::new(|_: &mut tidegate::settings::Settings| Ok(()));
    let mut bundle = bundle::read(&dir).unwrap();
    let port = format!(":{}\"", upstream.port());
    let settings_text = bundle.settings_text.replace(":1\"", &port).replace(":1/", &format!(":{}/", upstream.port()));
    bundle = bundle::Bundle::new(bundle.root, settings_text, bundle.files);
    let candidate = Candidate::from_bundle(&bundle, &*adjust).unwrap();
    let gate: Arc<Gate<Dialer>> = Arc::new(live::start(candidate, 2, Arc::new(Board::default())).unwrap());
    let server = Arc::new(Server::new(Arc::clone(&gate), 1000));
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    let address = listener.address().unwrap();
    tokio::spawn(Arc::clone(&server).accept(listener));
    let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(ask(address, upstream, client))).collect();
    for client in clients {
        client.await.unwrap();
    }
    while gate.tapes.size().0 < REQUESTS {
        tokio::time::sleep(Duration::from_millis(10)).await; // paced: the last exchanges settle
    }
    (gate.tapes.latest(), adjust)
}

async fn upstream() -> SocketAddr {
    let settings = mock::MockSettings { listen: "127.0.0.1:0".parse().unwrap(), name: "mock".to_owned() };
    let listener = settings.bind().await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(mock::serve(listener, "mock".to_owned(), std::future::pending::<()>()));
    address
}

/// One client's share of the requests, one after another, each on a connection of its own.
async fn ask(address: SocketAddr, upstream: SocketAddr, client: usize) {
    let mut random = fastrand::Rng::with_seed(client as u64);
    for _ in 0..REQUESTS / CLIENTS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = request(&mut random, upstream);
        let cut = if random.u32(..8) == 0 { random.usize(..request.len()) } else { request.len() };
        let (first, rest) = request.as_bytes().split_at(cut);
        stream.write_all(first).await.unwrap();
        if !rest.is_empty() {
            tokio::time::sleep(Duration::from_millis(random.u64(..4))).await; // paced: a slow client
            stream.write_all(rest).await.unwrap();
        }
        let mut answer = Vec::new();
        if random.u32(..50) == 0 {
            let mut first = [0; 200];
            let _ = stream.read(&mut first).await; // leaves early
            continue;
        }
        let _ = stream.read_to_end(&mut answer).await;
    }
}

/// A request for something: its method, its path and its body.
fn wish(random: &mut fastrand::Rng) -> (&'static str, &'static str, String) {
    let words = ["tide", "ebb", "flow", "moon"];
    let said = words[random.usize(..4)];
    let stream = random.bool();
    let messages = format!(r#""messages":[{{"role":"user","content":"{said}"}}]"#);
    let contents = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{said}"}}]}}]}}"#);
    match random.u32(..16) {
        0..=2 => ("POST", "/v1/messages", format!(r#"{{"model":"m","max_tokens":64,"stream":{stream},{messages}}}"#)),
        3..=4 => ("POST", "/v1/responses", format!(r#"{{"model":"m","stream":{stream},"input":"{said}"}}"#)),
        5..=6 => ("POST", "/api/chat", format!(r#"{{"model":"m","stream":{stream},{messages}}}"#)),
        7 => ("POST", "/v1/messages/count_tokens", format!(r#"{{"model":"m",{messages}}}"#)),
        8 => ("GET", "/v1/models", String::new()),
        9 => ("POST", "/v1/embeddings", format!(r#"{{"model":"m","input":["{said}","{said}s"]}}"#)),
        10 => ("POST", "/v1/completions", format!(r#"{{"model":"m","stream":{stream},"prompt":"{said}"}}"#)),
        11 => ("POST", "/v1beta/models/m:generateContent", contents),
        12 => ("POST", "/v1beta/models/m:streamGenerateContent?alt=sse", contents),
        _ => ("POST", "/v1/chat/completions", format!(r#"{{"model":"m","stream":{stream},{messages}}}"#)),
    }
}

/// A request of any dialect, whole or streamed, that may ask its upstream to fail.
fn request(random: &mut fastrand::Rng, upstream: SocketAddr) -> String {
    let (method, path, body) = wish(random);
    let mut headers = String::new();
    if random.u32(..4) > 0 {
        let _ = write!(headers, "x-user: user-{}\r\n", random.u32(..5));
    }
    if random.u32(..3) == 0 {
        let _ = write!(headers, "x-keep: {}\r\n", random.u32(..8));
    }
    if random.u32(..20) == 0 {
        headers += "x-ask: models\r\n";
    }
    if random.bool() {
        headers += "User-Agent: OpenAI/Python 2.1.0\r\n";
    }
    if random.u32(..20) == 0 {
        let _ = write!(headers, "x-fetch: http://{upstream}\r\n");
    }
    let faults = [
        "status=503",
        "status=400",
        "error-event=2",
        "status=529; retry-after=0",
        "cut=3",
        "reset",
        "no-done",
        "pause=3ms",
        "delay=20ms",
        "cut=2; pause=2ms",
    ];
    if random.u32(..4) == 0 {
        let _ = write!(headers, "x-mock-fault: {}\r\n", faults[random.usize(..faults.len())]);
    }
    if !body.is_empty() {
        let _ = write!(headers, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    format!("{method} {path} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n{headers}\r\n{body}")
}
