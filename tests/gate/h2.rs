//! HTTP/2 from clients and to upstreams.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Version};
use parking_lot::Mutex;

use crate::support::bundle::Bundled;
use crate::support::second::{ask, begin, plain, read, request, run, upstream};
use crate::support::service::{END, Service, answer, chunk, chunked, open, reset, say, stall};
use crate::support::talk::Talk;

/// A listener on which HTTP/2 may be spoken without TLS.
const H2C: &str = "[[listen]]\naddress = \"127.0.0.1:8800\"\nh2c = true\n";

const CHAT: &str = "/v1/chat/completions";

/// An upstream that is spoken to in HTTP/2, served on a thread of its own.
fn second_upstream<A, F>(act: A) -> String
where
    A: Fn(http::Request<h2::RecvStream>, h2::server::SendResponse<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            told.send(upstream(None, act).await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    format!("http://{}", heard.recv().unwrap())
}

/// A gate that speaks HTTP/2 to its upstream.
fn to_second(url: &str) -> Bundled {
    Bundled::serve(&[("tidegate.toml", &format!("{H2C}\n[upstreams.up]\nurl = \"{url}\"\nhttp = \"2\"\n"))])
}

#[test]
fn a_client_may_begin_with_http_2_where_the_settings_allow_it() {
    let upstream =
        Service::start(|heard, stream| say(stream, answer(200, &[("X-Kept", "1"), ("Keep-Alive", "1")], &heard.body)));
    let gate = Bundled::before(&upstream.url(), H2C);
    run(async {
        let mut client = plain(gate.address).await;
        for body in ["", "some bytes"] {
            let said =
                ask(&mut client, request("POST", "/a?b=c").header("X-Own", "1").header("te", "trailers"), body).await;
            assert_eq!((said.head.status.as_u16(), said.body.as_slice()), (200, body.as_bytes()));
            assert_eq!(said.head.headers["x-kept"], "1");
            for name in ["connection", "keep-alive", "transfer-encoding"] {
                assert!(!said.head.headers.contains_key(name), "{name}");
            }
        }
    });
    let heard = upstream.heard();
    assert!(heard[1].head.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{}", heard[1].head);
    assert_eq!((heard[1].header("x-forwarded-host"), heard[1].header("x-own")), (Some("gate.test"), Some("1")));
    assert_eq!(Talk::to(gate.address).get("/", &[]).status, 200, "HTTP/1.1 is served beside it");
}

#[test]
fn a_client_may_not_begin_with_http_2_otherwise() {
    let upstream = Service::saying(answer(200, &[], "no"));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let said = talk.read();
    assert!(matches!(said.status, 400 | 505), "{said:?}");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_client_of_http_2_sends_a_body_of_unknown_length() {
    let upstream = Service::start(|heard, stream| say(stream, chunked("text/plain", [&heard.body])));
    let gate = Bundled::before(&upstream.url(), H2C);
    run(async {
        let mut client = plain(gate.address).await;
        let (response, mut upload) = client.send_request(request("POST", "/").body(()).unwrap(), false).unwrap();
        for piece in ["first ", "second"] {
            upload.send_data(Bytes::from(piece), false).unwrap();
        }
        upload.send_data(Bytes::new(), true).unwrap();
        let (head, body) = response.await.unwrap().into_parts();
        assert_eq!(read(head, body).await.body, b"first second");
    });
    let heard = &upstream.heard()[0];
    assert_eq!((heard.header("transfer-encoding"), heard.text().as_str()), (Some("chunked"), "first second"));
}

#[test]
fn streams_on_one_connection_do_not_mix() {
    let upstream =
        Service::start(|heard, stream| say(stream, chunked("text/plain", [heard.target(), " ", heard.target()])));
    let gate = Bundled::before(&upstream.url(), H2C);
    run(async {
        let client = plain(gate.address).await;
        let asked = (0..20).map(|number| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let said = ask(&mut client, request("GET", &format!("/{number}")), "").await;
                assert_eq!(String::from_utf8(said.body).unwrap(), format!("/{number} /{number}"));
            })
        });
        for task in asked.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_client_that_resets_its_stream_cancels_the_upstream() {
    let (gone, told) = mpsc::channel();
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: 1\n\n"));
        stall(stream);
        gone.send(Instant::now()).unwrap();
        false
    });
    let gate = Bundled::before(&upstream.url(), H2C);
    run(async {
        let mut client = plain(gate.address).await;
        let (response, mut upload) = client.send_request(request("POST", CHAT).body(()).unwrap(), false).unwrap();
        upload.send_data(Bytes::from("{}"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "data: 1\n\n");
        let left = Instant::now();
        upload.send_reset(Reason::CANCEL);
        let noticed = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(10))).await.unwrap();
        let noticed = noticed.expect("the upstream is not let go") - left;
        assert!(noticed < Duration::from_millis(100), "{noticed:?}");
    });
}

#[test]
fn a_body_that_breaks_off_resets_the_clients_stream() {
    let upstream = Service::start(|heard, stream| {
        if heard.target() == "/next" {
            return say(stream, answer(200, &[], "fine"));
        }
        say(stream, open("text/plain"));
        say(stream, chunk("half"));
        reset(stream)
    });
    let gate = Bundled::before(&upstream.url(), H2C);
    run(async {
        let mut client = plain(gate.address).await;
        let said = ask(&mut client, request("GET", "/"), "").await;
        assert!(said.broken.as_ref().is_some_and(h2::Error::is_reset), "{:?} {:?}", said.broken, said.body);
        assert_eq!(ask(&mut client, request("GET", "/next"), "").await.body, b"fine", "other streams go on");
    });
}

#[test]
fn an_upstream_of_http_2_is_called_by_authority() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let url = second_upstream(move |request, mut respond| {
        let log = Arc::clone(&log);
        async move {
            let (head, mut body) = request.into_parts();
            log.lock().push(head);
            let mut answer = begin(&mut respond, &[("x-from", "two")]);
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                answer.send_data(piece, false).unwrap();
            }
            answer.send_data(Bytes::new(), true).unwrap();
        }
    });
    let gate = to_second(&url);
    let hop = [("Connection", "X-Private"), ("X-Private", "1"), ("TE", "trailers, deflate"), ("X-Own", "1")];
    let mut talk = gate.talk();
    for body in ["", "to and fro"] {
        let said = talk.post("/a?b", &hop, body);
        assert_eq!((said.status, said.text().as_str(), said.header("x-from")), (200, body, Some("two")), "{said:?}");
    }
    assert_eq!(talk.get("/", &[]).status, 200);
    let seen = seen.lock();
    assert_eq!(seen.len(), 3);
    for head in seen.iter() {
        assert_eq!(head.version, Version::HTTP_2);
        assert_eq!(head.uri.authority().unwrap().as_str(), url.trim_start_matches("http://"));
        for name in ["host", "connection", "transfer-encoding", "x-private", "te"] {
            assert!(!head.headers.contains_key(name), "{name}");
        }
    }
    assert_eq!((seen[0].uri.path(), seen[0].uri.query()), ("/a", Some("b")));
    assert_eq!(seen[0].headers["x-own"], "1");
}

#[test]
fn trailers_pass_from_end_to_end() {
    let url = second_upstream(|_, mut respond| async move {
        let mut answer = begin(&mut respond, &[("content-type", "application/grpc")]);
        answer.send_data(Bytes::from("message"), false).unwrap();
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "7".parse().unwrap())]);
        answer.send_trailers(trailers).unwrap();
    });
    let gate = to_second(&url);
    run(async {
        let mut client = plain(gate.address).await;
        let said = ask(&mut client, request("POST", "/service/call").header("te", "trailers"), "ask").await;
        assert_eq!(said.body, b"message");
        assert_eq!(said.trailers.expect("the trailers are lost")["grpc-status"], "7");
    });
    assert_eq!(gate.talk().get("/", &[]).text(), "message", "a client of HTTP/1.1 does without them");
}

#[test]
fn an_upstreams_stream_is_reset_when_the_client_leaves() {
    let (gone, told) = mpsc::channel();
    let gone = Mutex::new(gone);
    let gone = Arc::new(gone);
    let url = second_upstream(move |_, mut respond| {
        let gone = Arc::clone(&gone);
        async move {
            let mut answer = begin(&mut respond, &[("content-type", "text/event-stream")]);
            answer.send_data(Bytes::from("data: 1\n\n"), false).unwrap();
            let reason = std::future::poll_fn(|cx| answer.poll_reset(cx)).await;
            gone.lock().send(reason.is_ok()).unwrap();
        }
    });
    let gate = to_second(&url);
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{}");
    talk.wait_for("data: 1");
    drop(talk);
    assert!(told.recv_timeout(Duration::from_secs(2)).expect("the stream goes on"));
}

#[test]
fn an_upstreams_reset_breaks_the_body() {
    let url = second_upstream(|_, mut respond| async move {
        let mut answer = begin(&mut respond, &[]);
        answer.send_data(Bytes::from("half"), false).unwrap();
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(50)).await; // paced: the data goes out before the reset
        answer.send_reset(Reason::INTERNAL_ERROR);
    });
    let gate = to_second(&url);
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let said = talk.read();
    assert_eq!((said.status, said.text().as_str(), said.whole), (200, "half", false), "{said:?}");
}

#[test]
fn a_stream_of_events_reaches_a_client_of_http_2_at_once() {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        for number in 0..5 {
            say(stream, chunk(format!("data: {number}\n\n")));
            wait.lock().recv().unwrap();
        }
        say(stream, END)
    });
    let gate = Bundled::before(&upstream.url(), H2C);
    run(async {
        let mut client = plain(gate.address).await;
        let (response, _) = client.send_request(request("GET", CHAT).body(()).unwrap(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        for number in 0..5 {
            assert_eq!(body.data().await.unwrap().unwrap(), format!("data: {number}\n\n"));
            go.send(()).unwrap();
        }
        while let Some(piece) = body.data().await {
            assert!(piece.unwrap().is_empty());
        }
    });
}

#[test]
fn a_reset_is_never_taken_for_the_end_of_a_body() {
    let url = second_upstream(|_, mut respond| async move {
        let mut answer = begin(&mut respond, &[]);
        answer.send_data(Bytes::from("half"), false).unwrap();
        tokio::task::yield_now().await;
        answer.send_reset(Reason::INTERNAL_ERROR);
    });
    let gate = to_second(&url);
    for _ in 0..50 {
        let mut talk = gate.talk();
        talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        let said = talk.read();
        assert!(said.status == 502 || !said.whole, "{said:?}");
    }
}
