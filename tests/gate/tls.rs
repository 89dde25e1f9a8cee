//! TLS with clients and with upstreams.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::bundle::Bundled;
use crate::support::second::{Certificate, ask, begin, client, request, run, upstream};
use crate::support::service::{Service, answer, say};

/// A gate that serves TLS as `gate.test`.
fn under_tls(certificate: &Certificate, url: &str) -> Bundled {
    let settings = format!(
        "[[listen]]\naddress = \"127.0.0.1:8800\"\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n[upstreams.up]\nurl = \"{url}\"\n"
    );
    Bundled::serve(&[("tidegate.toml", &settings), ("cert.pem", &certificate.cert), ("key.pem", &certificate.key)])
}

/// An upstream under TLS that answers with the protocol it was asked in, and counts its requests.
fn secure_upstream(certificate: &Certificate, protocols: &'static [&'static str]) -> (SocketAddr, Arc<AtomicUsize>) {
    let acceptor = certificate.acceptor(protocols);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let address = upstream(Some(acceptor), move |request, mut respond| {
                counted.fetch_add(1, Ordering::SeqCst);
                async move {
                    let mut answer = begin(&mut respond, &[]);
                    answer
                        .send_data(Bytes::from(format!("{:?} {}", request.version(), request.uri().path())), true)
                        .unwrap();
                }
            });
            told.send(address.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    (heard.recv().unwrap(), count)
}

/// A gate in front of an upstream under TLS.
fn to_tls(address: SocketAddr, certificate: &Certificate, more: &str) -> Bundled {
    let settings = format!("[upstreams.up]\nurl = \"https://localhost:{}\"\n{more}\n", address.port());
    Bundled::serve(&[("tidegate.toml", &settings), ("ca.pem", &certificate.cert)])
}

#[test]
fn clients_under_tls_speak_what_they_agree_on() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let certificate = Certificate::of("gate.test");
    let gate = under_tls(&certificate, &upstream.url());
    run(async {
        let stream = certificate.connect(gate.address, "gate.test", &["h2", "http/1.1"]).await;
        let mut client = client(stream).await;
        assert_eq!(ask(&mut client, request("POST", "/two"), "over two").await.body, b"over two");
        let mut stream = certificate.connect(gate.address, "gate.test", &["http/1.1"]).await;
        for _ in 0..2 {
            stream
                .write_all(b"POST /one HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 8\r\n\r\nover one")
                .await
                .unwrap();
            let mut said = Vec::new();
            while !said.ends_with(b"over one") {
                assert!(stream.read_buf(&mut said).await.unwrap() > 0);
            }
        }
    });
    let protocols: Vec<_> =
        upstream.heard().iter().map(|heard| heard.header("x-forwarded-proto").unwrap().to_owned()).collect();
    assert_eq!(protocols, ["https", "https", "https"]);
}

#[test]
fn an_upstream_under_tls_is_spoken_to_as_it_prefers() {
    let certificate = Certificate::of("localhost");
    let (address, count) = secure_upstream(&certificate, &["h2", "http/1.1"]);
    let gate = to_tls(address, &certificate, "ca = \"ca.pem\"");
    let mut talk = gate.talk();
    for path in ["/a", "/b"] {
        assert_eq!(talk.get(path, &[]).text(), format!("HTTP/2.0 {path}"));
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn a_certificate_that_is_not_to_be_trusted_gets_nothing() {
    let certificate = Certificate::of("localhost");
    let (address, count) = secure_upstream(&certificate, &["h2", "http/1.1"]);
    for wrong in ["", "ca = \"ca.pem\"\nsni = \"other.test\""] {
        let gate = to_tls(address, &certificate, wrong);
        let said = gate.talk().post("/", &[], "secret");
        assert_eq!(said.status, 502, "{wrong:?}: {said:?}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "a request was sent");
}

#[test]
fn a_certificate_may_be_for_another_name_that_the_settings_say() {
    let certificate = Certificate::of("inner.test");
    let (address, _) = secure_upstream(&certificate, &["h2"]);
    let gate = to_tls(address, &certificate, "ca = \"ca.pem\"\nsni = \"inner.test\"");
    assert_eq!(gate.talk().get("/", &[]).text(), "HTTP/2.0 /");
}

#[test]
fn checking_can_be_left_out_only_by_saying_so() {
    let certificate = Certificate::of("whatever.test");
    let (address, _) = secure_upstream(&certificate, &["h2"]);
    let gate = to_tls(address, &certificate, "verify = false");
    assert_eq!(gate.talk().get("/", &[]).text(), "HTTP/2.0 /");
}

#[test]
fn a_client_without_tls_is_turned_away() {
    let upstream = Service::saying(answer(200, &[], "ok"));
    let gate = under_tls(&Certificate::of("gate.test"), &upstream.url());
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let said = talk.rest();
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    assert_eq!(upstream.count(), 0);
}
