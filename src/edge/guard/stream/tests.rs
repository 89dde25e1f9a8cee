use super::super::{BodyFault, H2_PREFACE, Limits, refusal_header};
use super::Guarded;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const UPGRADE: &[u8] = b"GET /w HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Polls a future once, without a waker.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A client and the guard it speaks to.
fn pair(allow_h2c: bool) -> (DuplexStream, Guarded<DuplexStream>) {
    let (client, server) = duplex(1 << 20);
    (client, Guarded::new(server, Limits::default(), allow_h2c))
}

/// One read with room for a kilobyte.
async fn read(guard: &mut Guarded<DuplexStream>) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    let count = guard.read(&mut bytes).await.unwrap();
    bytes.truncate(count);
    bytes
}

/// Whether a read has nothing to give for now.
fn waits(guard: &mut Guarded<DuplexStream>) -> bool {
    let mut bytes = [0; 64];
    poll_once(std::pin::pin!(guard.read(&mut bytes))).is_none()
}

/// The stand-in for a refusal.
fn stand_in(status: u16, reason: &str) -> Vec<u8> {
    let name = refusal_header();
    format!("GET /{status} HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n{name}: {status} {reason}\r\n\r\n")
        .into_bytes()
}

#[tokio::test]
async fn a_head_is_withheld_until_it_is_complete() {
    let (mut client, mut guard) = pair(false);
    for byte in &GET[..GET.len() - 1] {
        client.write_all(&[*byte]).await.unwrap();
        assert!(waits(&mut guard));
    }
    client.write_all(b"\n").await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
}

#[tokio::test]
async fn pipelined_requests_come_one_read_each() {
    let (mut client, mut guard) = pair(false);
    client.write_all(&[GET, GET, GET].concat()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(&mut guard).await, GET);
    }
    assert!(waits(&mut guard));
}

#[tokio::test]
async fn a_refusal_follows_the_good_request_before_it_and_ends_the_connection() {
    let (mut client, mut guard) = pair(false);
    client.write_all(&[GET, b"GET / HTTP/1.1\nHost: h\n\n", GET].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
    assert_eq!(read(&mut guard).await, stand_in(400, "line not ended by CRLF"));
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut guard).await, b"");
    assert_eq!(read(&mut guard).await, b"");
}

#[tokio::test]
async fn a_long_stand_in_survives_a_reader_with_little_room() {
    let (mut client, mut guard) = pair(false);
    client.write_all(b"\0").await.unwrap();
    let mut all = Vec::new();
    let mut byte = [0; 1];
    while guard.read(&mut byte).await.unwrap() == 1 {
        all.push(byte[0]);
    }
    assert_eq!(all, stand_in(400, "malformed request line"));
}

#[tokio::test]
async fn a_body_passes_with_its_head_and_stops_before_the_next() {
    let (mut client, mut guard) = pair(false);
    let post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
    client.write_all(&[&post[..], GET].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, post);
    assert_eq!(read(&mut guard).await, GET);
}

#[tokio::test]
async fn a_long_body_is_intact_whatever_the_reads() {
    let (mut client, mut guard) = pair(false);
    let body: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    let sent = [head.as_bytes(), &body].concat();
    client.write_all(&[&sent[..], GET].concat()).await.unwrap();
    let mut received = Vec::new();
    for room in (1..5000).cycle() {
        let mut bytes = vec![0; room];
        let count = guard.read(&mut bytes).await.unwrap();
        received.extend_from_slice(&bytes[..count]);
        if received.len() >= sent.len() {
            break;
        }
    }
    assert!(received == sent);
    assert_eq!(read(&mut guard).await, GET);
}

#[tokio::test]
async fn what_follows_a_chunked_body_is_checked_as_a_head() {
    let (mut client, mut guard) = pair(false);
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head).await.unwrap();
    assert_eq!(read(&mut guard).await, head);
    let body = b"5\r\nhello\r\n0\r\n\r\n";
    client.write_all(&[&body[..], b"GET /x\r\n\r\n"].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, body);
    assert_eq!(read(&mut guard).await, stand_in(400, "malformed request line"));
}

#[tokio::test]
async fn a_broken_chunk_fails_the_read_after_the_good_bytes_and_ends_the_connection() {
    for together in [true, false] {
        let (mut client, mut guard) = pair(false);
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut expected = head.to_vec();
        client.write_all(head).await.unwrap();
        if !together {
            assert_eq!(read(&mut guard).await, head);
            expected.clear();
        }
        client.write_all(b"5\r\nhelloX\r\n").await.unwrap();
        expected.extend_from_slice(b"5\r\nhello");
        assert_eq!(read(&mut guard).await, expected);
        let error = guard.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let fault = error.get_ref().and_then(|source| source.downcast_ref::<BodyFault>());
        assert_eq!(fault, Some(&BodyFault("chunk data longer than its size")));
        assert_eq!(read(&mut guard).await, b"");
    }
}

#[tokio::test]
async fn a_rewritten_head_comes_before_its_body() {
    let (mut client, mut guard) = pair(false);
    client.write_all(b"POST http://b/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    assert_eq!(read(&mut guard).await, b"POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nhi");
}

#[tokio::test]
async fn a_client_that_leaves_without_a_word_is_the_end() {
    let (client, mut guard) = pair(false);
    drop(client);
    assert_eq!(read(&mut guard).await, b"");
}

#[tokio::test]
async fn a_client_that_leaves_after_empty_lines_is_the_end() {
    let (mut client, mut guard) = pair(false);
    client.write_all(b"\r\n\r\n").await.unwrap();
    drop(client);
    assert_eq!(read(&mut guard).await, b"");
}

#[tokio::test]
async fn a_client_that_leaves_within_a_head_is_answered_400() {
    let (mut client, mut guard) = pair(false);
    client.write_all(&[GET, b"GET / HT"].concat()).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
    assert_eq!(read(&mut guard).await, stand_in(400, "incomplete head"));
    assert_eq!(read(&mut guard).await, b"");
}

#[tokio::test]
async fn a_client_that_leaves_within_a_body_is_the_end() {
    let (mut client, mut guard) = pair(false);
    let post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe";
    client.write_all(post).await.unwrap();
    drop(client);
    assert_eq!(read(&mut guard).await, post);
    assert_eq!(read(&mut guard).await, b"");
    assert_eq!(read(&mut guard).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_past_its_deadline_is_answered_408() {
    let (mut client, mut guard) = pair(false);
    let trickle = tokio::spawn(async move {
        for byte in GET {
            client.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(2)).await; // paced: virtual time between two bytes of the head
        }
    });
    assert_eq!(read(&mut guard).await, stand_in(408, "head not complete in time"));
    assert_eq!(read(&mut guard).await, b"");
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn a_silent_new_connection_is_closed_at_the_deadline() {
    let (_client, mut guard) = pair(false);
    let before = tokio::time::Instant::now();
    assert_eq!(read(&mut guard).await, b"");
    assert_eq!(before.elapsed().as_secs(), Limits::default().head_deadline.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_between_requests_is_left_alone() {
    let (mut client, mut guard) = pair(false);
    client.write_all(&[GET, b"\r"].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
    assert!(waits(&mut guard));
    client.write_all(b"\n").await.unwrap();
    let idle = tokio::time::timeout(Duration::from_hours(1), read(&mut guard)).await;
    assert!(idle.is_err());
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_later_head_starts_with_its_first_byte() {
    let (mut client, mut guard) = pair(false);
    client.write_all(GET).await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
    assert!(tokio::time::timeout(Duration::from_hours(1), read(&mut guard)).await.is_err());
    client.write_all(b"GET").await.unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(read(&mut guard).await, stand_in(408, "head not complete in time"));
    assert_eq!(before.elapsed().as_secs(), Limits::default().head_deadline.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_not_the_deadlines_business() {
    let (mut client, mut guard) = pair(false);
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
    client.write_all(head).await.unwrap();
    assert_eq!(read(&mut guard).await, head);
    assert!(tokio::time::timeout(Duration::from_hours(1), read(&mut guard)).await.is_err());
    client.write_all(b"ok").await.unwrap();
    assert_eq!(read(&mut guard).await, b"ok");
}

#[tokio::test]
async fn bytes_behind_an_upgrade_wait_for_the_switch_and_then_pass_raw() {
    let (mut client, mut guard) = pair(false);
    guard.switched();
    client.write_all(&[UPGRADE, b"\x81\x00raw"].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, UPGRADE);
    assert!(waits(&mut guard));
    guard.switched();
    assert_eq!(read(&mut guard).await, b"\x81\x00raw");
    client.write_all(b"more\n").await.unwrap();
    assert_eq!(read(&mut guard).await, b"more\n");
}

#[tokio::test]
async fn bytes_behind_an_upgrade_that_was_declined_are_checked_as_the_next_request() {
    let (mut client, mut guard) = pair(false);
    client.write_all(&[UPGRADE, GET, b"\x81\x00raw"].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, UPGRADE);
    assert!(waits(&mut guard));
    guard.stayed();
    assert_eq!(read(&mut guard).await, GET);
    assert_eq!(read(&mut guard).await, stand_in(400, "malformed request line"));
}

#[tokio::test]
async fn a_client_that_leaves_before_its_upgrade_is_answered_is_the_end() {
    let (mut client, mut guard) = pair(false);
    client.write_all(UPGRADE).await.unwrap();
    assert_eq!(read(&mut guard).await, UPGRADE);
    drop(client);
    assert_eq!(read(&mut guard).await, b"");
}

#[tokio::test]
async fn a_held_connection_keeps_only_a_little() {
    let (mut client, mut guard) = pair(false);
    client.write_all(UPGRADE).await.unwrap();
    assert_eq!(read(&mut guard).await, UPGRADE);
    client.write_all(&vec![b'x'; 500_000]).await.unwrap();
    assert!(waits(&mut guard));
    assert!(guard.inbox.len() <= 2 * super::ROOM);
}

#[tokio::test]
async fn the_preface_is_recognised_byte_by_byte_and_everything_passes() {
    let (mut client, mut guard) = pair(true);
    for byte in H2_PREFACE {
        assert!(poll_once(std::pin::pin!(guard.is_h2_preface())).is_none());
        client.write_all(&[*byte]).await.unwrap();
    }
    assert!(guard.is_h2_preface().await.unwrap());
    assert!(guard.is_h2_preface().await.unwrap());
    assert_eq!(read(&mut guard).await, H2_PREFACE);
    client.write_all(b"\0\0\0\x04\0").await.unwrap();
    assert_eq!(read(&mut guard).await, b"\0\0\0\x04\0");
}

#[tokio::test]
async fn one_byte_tells_that_it_is_not_the_preface() {
    let (mut client, mut guard) = pair(true);
    client.write_all(b"G").await.unwrap();
    assert!(!guard.is_h2_preface().await.unwrap());
    client.write_all(&GET[1..]).await.unwrap();
    assert_eq!(read(&mut guard).await, GET);
}

#[tokio::test]
async fn a_preface_that_goes_wrong_is_judged_as_a_request() {
    let (mut client, mut guard) = pair(true);
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSX").await.unwrap();
    assert!(!guard.is_h2_preface().await.unwrap());
    assert_eq!(read(&mut guard).await, stand_in(505, "HTTP version not spoken here"));
}

#[tokio::test]
async fn without_leave_the_preface_is_refused_at_once() {
    let (mut client, mut guard) = pair(false);
    assert!(!guard.is_h2_preface().await.unwrap());
    client.write_all(H2_PREFACE).await.unwrap();
    assert_eq!(read(&mut guard).await, stand_in(505, "HTTP version not spoken here"));
}

#[tokio::test]
async fn the_preface_is_recognised_by_reading_alone() {
    let (mut client, mut guard) = pair(true);
    client.write_all(&[&H2_PREFACE[..], b"\0\0"].concat()).await.unwrap();
    assert_eq!(read(&mut guard).await, [&H2_PREFACE[..], b"\0\0"].concat());
}

#[tokio::test(start_paused = true)]
async fn half_a_preface_is_answered_408_at_the_deadline() {
    let (mut client, mut guard) = pair(true);
    client.write_all(b"PRI * HTTP").await.unwrap();
    assert!(!guard.is_h2_preface().await.unwrap());
    assert_eq!(read(&mut guard).await, stand_in(408, "head not complete in time"));
}

#[tokio::test]
async fn a_transparent_guard_changes_nothing_either_way() {
    let (mut client, server) = duplex(1024);
    let mut guard = Guarded::transparent(server);
    client.write_all(b"\0any\nthing").await.unwrap();
    assert_eq!(read(&mut guard).await, b"\0any\nthing");
    guard.write_all(b"back").await.unwrap();
    let mut bytes = [0; 4];
    client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"back");
}

#[tokio::test]
async fn memory_beyond_one_room_is_given_back_after_a_large_head() {
    let (mut client, mut guard) = pair(false);
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    client.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = vec![0; head.len()];
    guard.read_exact(&mut bytes).await.unwrap();
    assert_eq!(bytes, head.as_bytes());
    assert!(guard.inbox.held() <= super::ROOM);
}

#[tokio::test]
async fn what_the_client_sent_does_not_show_in_debug_output() {
    let (mut client, mut guard) = pair(false);
    client.write_all(b"GET http://b/ HTTP/1.1\r\nHost: b\r\nAuthorization: mmmm\r\n\r\nGET /mmmm").await.unwrap();
    let mut byte = [0; 1];
    guard.read_exact(&mut byte).await.unwrap();
    let shown = format!("{guard:?}");
    assert!(!shown.contains("mmmm") && !shown.contains("109, 109"), "{shown}");
}

#[test]
fn a_guard_is_what_the_engine_asks_of_a_stream() {
    fn asks<T: std::fmt::Debug + Send + Sync + Unpin + tokio::io::AsyncRead + tokio::io::AsyncWrite + 'static>() {}
    asks::<Guarded<DuplexStream>>();
}
