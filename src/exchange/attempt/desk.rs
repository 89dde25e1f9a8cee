//! Where attempts leave what only the exchange can see to: they run beside each other, and none of them has hold of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::dialect::Dialect;
use crate::error::Error;
use crate::exchange::decision::Commit;
use crate::exchange::wire::Client;
use crate::exchange::{Exchange, heads};
use crate::message::ResponseHead;
use crate::policy::HeldFacts;
use crate::stream::Event;

/// Interim responses that wait to be passed on; what an upstream sends beyond them is dropped.
const MOST_WAITING: usize = 16;

/// What lies there, in the order in which it came.
#[derive(Debug, Default)]
pub(in crate::exchange) struct Desk {
    words: Mutex<VecDeque<Word>>,
    bell: Notify,
    /// Whether an upstream gave a sign of an answer.
    sign: AtomicBool,
    /// Attempts whose request was sent a second time, each a bit by its number.
    resent: AtomicU32,
}

/// Something that an attempt left.
#[derive(Debug)]
pub(in crate::exchange) enum Word {
    /// An interim response for the client.
    Interim(Box<ResponseHead>),
    /// An event about which the policies are to be asked.
    Held(Box<Question>),
}

/// An event of a stream that is held, for `commit`.
#[derive(Debug)]
pub(in crate::exchange) struct Question {
    /// The event.
    pub(super) event: Event,
    /// What it is written in.
    pub(super) dialect: Option<Dialect>,
    /// The attempt.
    pub(super) facts: HeldFacts,
    /// Where the answer goes.
    pub(super) reply: oneshot::Sender<Option<Commit>>,
}

// === impl Desk ===

impl Desk {
    /// Leaves an interim response for the client.
    pub(super) fn interim(&self, head: ResponseHead) {
        let mut words = self.words.lock();
        if words.len() < MOST_WAITING {
            words.push_back(Word::Interim(Box::new(head)));
            drop(words);
            self.bell.notify_one();
        }
    }

    /// Notes that an upstream gave a sign of an answer, though it may be held yet.
    pub(super) fn give_sign(&self) {
        self.sign.store(true, Ordering::Relaxed);
    }

    /// Whether one did.
    pub(super) fn has_sign(&self) -> bool {
        self.sign.load(Ordering::Relaxed)
    }

    /// Notes that the request of the attempt of this number is sent a second time.
    pub(super) fn resend(&self, number: usize) {
        self.resent.fetch_or(bit(number), Ordering::Relaxed);
    }

    /// Whether it was.
    pub(super) fn was_resent(&self, number: usize) -> bool {
        self.resent.load(Ordering::Relaxed) & bit(number) != 0
    }

    /// Asks the policies about an event.
    pub(super) async fn ask(&self, event: Event, dialect: Option<Dialect>, facts: HeldFacts) -> Option<Commit> {
        let (reply, answer) = oneshot::channel();
        self.words.lock().push_back(Word::Held(Box::new(Question { event, dialect, facts, reply })));
        self.bell.notify_one();
        answer.await.ok().flatten()
    }

    /// Waits for something to be there. Safe to drop.
    pub(in crate::exchange) async fn next(&self) -> Word {
        loop {
            if let Some(word) = self.left() {
                return word;
            }
            self.bell.notified().await;
        }
    }

    /// What is there.
    pub(in crate::exchange) fn left(&self) -> Option<Word> {
        self.words.lock().pop_front()
    }
}

/// The bit of an attempt; no desk is shared by more of them than there are bits.
fn bit(number: usize) -> u32 {
    u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number)).unwrap_or(0)
}

/// Sees to something that was left.
pub(in crate::exchange) async fn heed<C: Client>(client: &mut C, x: &mut Exchange, word: Word) -> Result<(), Error> {
    match word {
        Word::Interim(head) => forward_interim(client, x, *head).await,
        Word::Held(question) => {
            let Question { event, dialect, facts, reply } = *question;
            // An attempt that was cancelled meanwhile needs no answer.
            let _ = reply.send(x.run.commit(&event, dialect, &facts));
            Ok(())
        }
    }
}

/// Whether a head is an interim response.
pub(super) fn is_interim(head: &ResponseHead) -> bool {
    head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS
}

/// Passes an interim response on (RFC 9110 §15.2), to clients whose protocol has them and that have no head yet.
pub(super) async fn forward_interim<C: Client>(
    client: &mut C,
    x: &Exchange,
    mut head: ResponseHead,
) -> Result<(), Error> {
    if head.status == StatusCode::CONTINUE || x.peer.version != http::Version::HTTP_11 || x.sent.status.is_some() {
        return Ok(());
    }
    heads::strip_response(&mut head);
    head.set_version(http::Version::HTTP_11);
    client.send_head(head, false).await
}
