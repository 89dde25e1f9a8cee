//! A stream that may go on with another upstream: what was said is kept, a failure is held back until somebody decides,
//! and the next upstream's words go where the first one's stopped.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::{Interpreter, Passing, Told, write};
use crate::dialect::Dialect;
use crate::dialect::chat::Chat;
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::continuation::{self, Seam};
use crate::dialect::event::{Event, EventKind, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::habits::Habits;
use crate::dialect::id::Ids;
use crate::dialect::loss::Losses;
use crate::dialect::transcript::{Marks, Said, Transcript};
use crate::stream;

/// How a stream may go on, or goes on, with another upstream.
#[derive(Default)]
pub(super) struct Resuming {
    /// Whether bytes pass as they come: client and upstream speak one dialect and nothing was joined yet.
    verbatim: bool,
    /// What was said, as long as the stream may go on elsewhere.
    transcript: Option<Box<Transcript>>,
    /// Joins this upstream's words to those before.
    seam: Option<Box<Seam>>,
    /// The writer that the client hears, from the attempt before.
    writer: Option<Box<dyn Writer>>,
    /// What must be said before the first event.
    first: Bytes,
    /// Ids for what this upstream leaves without one: those of the attempt before are taken.
    ids: Option<Ids>,
    /// Why the stream stopped, which the client was not told.
    broken: Option<Failure>,
}

/// What is left of a stream that stopped: all that the next upstream's interpreter needs.
pub struct Remains {
    stamp: Stamp,
    writer: Option<Box<dyn Writer>>,
    told: Told,
    /// What the client was sent.
    pub transcript: Transcript,
}

// === impl Interpreter ===

impl Interpreter {
    /// Stands beside a stream that passes untouched, for the case that it must go on elsewhere. `None` when the dialect
    /// carries no chats.
    pub fn verbatim(client: Dialect, target: &str, chat: Chat, exchange: &str, created: i64) -> Option<Self> {
        let mut made = Self::new(client, client, target, Habits::OPENAI, chat, exchange, created)?;
        made.resuming.verbatim = true;
        Some(made)
    }

    /// Whether the stream's bytes pass as they come.
    pub fn is_verbatim(&self) -> bool {
        self.resuming.verbatim
    }

    /// Keeps what is said from here on, so that the stream may go on elsewhere. Failures are held back.
    pub fn keep_transcript(&mut self) {
        let marks = if self.resuming.verbatim { Marks::of(self.client.dialect) } else { Marks::None };
        self.resuming.transcript = Some(Box::new(Transcript::marked(marks)));
    }

    /// Lets what was said go: the stream ends where this upstream ends it.
    pub fn drop_transcript(&mut self) {
        self.resuming.transcript = None;
    }

    /// What was said, while it is kept.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.resuming.transcript.as_deref()
    }

    /// What was said, in figures.
    pub fn said(&self) -> Said {
        self.transcript().map(Transcript::said).unwrap_or_default()
    }

    /// Why the stream stopped, if it did and the client was not told.
    pub fn broken(&self) -> Option<&Failure> {
        self.resuming.broken.as_ref()
    }

    /// The wire broke. An answer of which only the last word is missing is given that, and is whole; otherwise the
    /// failure is held back, and there is nothing to give.
    pub fn cut(&mut self, failure: Failure) -> Option<Bytes> {
        if self.resuming.broken.is_some() {
            return None;
        }
        let mut out = BytesMut::new();
        let mut passing = self.passing.take()?;
        let last = passing.reader.finish();
        self.hear(&mut passing, None, last, &mut out);
        if self.resuming.broken.is_none() && passing.over && passing.writer.is_none() {
            out.extend_from_slice(continuation::last_words(self.client.dialect));
        }
        passing.ended |= passing.over;
        let whole = passing.over;
        self.passing = Some(passing);
        if !whole {
            self.resuming.broken = Some(failure);
            return None;
        }
        Some(out.freeze())
    }

    /// What the client was sent of what was said.
    pub fn sent(&self) -> Option<Cow<'_, Transcript>> {
        let transcript = self.transcript()?;
        let sent = if self.resuming.verbatim { None } else { transcript.without_unsent_calls(self.client.dialect) };
        Some(sent.map_or(Cow::Borrowed(transcript), Cow::Owned))
    }

    /// Takes what is left of a stream that stopped; `asked` is an estimate of the request's tokens. `None` when nothing
    /// was kept.
    pub fn take_remains(&mut self, asked: u64) -> Option<Remains> {
        let mut writer = self.passing.take().and_then(|passing| passing.writer);
        let sent = match self.sent()? {
            Cow::Owned(sent) => Some(sent),
            Cow::Borrowed(_) => None,
        };
        let mut transcript = match sent {
            Some(sent) => {
                writer = Some(self.primed(&sent).0);
                sent
            }
            None => *self.resuming.transcript.take()?,
        };
        let used = transcript.used(asked);
        transcript.hand_over(used);
        Some(Remains { stamp: self.stamp.clone(), writer, told: std::mem::take(&mut self.told), transcript })
    }

    /// What will join this upstream's words to those before.
    pub fn join_with(&mut self, seam: Seam) {
        self.resuming.seam = Some(Box::new(seam));
    }

    /// Goes on with what another stream left, as the seam says. To be called before the stream begins.
    pub fn resume(&mut self, remains: Remains) {
        let Remains { stamp, writer, told, mut transcript } = remains;
        let own = std::mem::replace(&mut self.stamp, stamp);
        let (writer, first) = match writer {
            Some(writer) => (writer, Bytes::new()),
            None => self.primed(&transcript),
        };
        transcript.marks = Marks::None;
        self.resuming = Resuming {
            verbatim: false,
            transcript: Some(Box::new(transcript)),
            seam: self.resuming.seam.take(),
            writer: Some(writer),
            first,
            ids: Some(own.ids),
            broken: None,
        };
        let losses = std::mem::take(&mut self.told.losses);
        self.told = told;
        self.told.losses.extend(losses);
    }

    /// A writer that stands where the client does: it has written all that was said, to nobody; and what it must say
    /// first.
    fn primed(&self, transcript: &Transcript) -> (Box<dyn Writer>, Bytes) {
        let mut stamp = self.stamp.clone();
        stamp.ids = stamp.ids.with_given(transcript.marks.ids());
        let mut writer = self.client.codec.writer(stamp);
        let mut nothing = Losses::default();
        for event in transcript.events() {
            writer.write(event.clone(), &mut nothing);
        }
        if transcript.started() {
            // Some write their start only with what follows it.
            let spent = transcript.spent().cloned().unwrap_or_else(Usage::default);
            writer.write(Event::first(EventKind::Usage(spent)), &mut nothing);
        }
        let mut first = BytesMut::new();
        for event in writer.align(&transcript.marks) {
            first.extend_from_slice(&event.to_bytes());
        }
        (writer, first.freeze())
    }

    /// The writer of a stream that begins.
    pub(super) fn writer(&mut self) -> Option<Box<dyn Writer>> {
        let kept = self.resuming.writer.take();
        kept.or_else(|| (!self.resuming.verbatim).then(|| self.client.codec.writer(self.stamp.clone())))
    }

    /// Hears what an event of the wire says, or the wire's end. What may go on elsewhere does not tell a failure.
    pub(super) fn hear(
        &mut self,
        passing: &mut Passing,
        wire: Option<&stream::Event>,
        said: Vec<Event>,
        out: &mut BytesMut,
    ) {
        if self.resuming.broken.is_some() {
            return;
        }
        out.extend_from_slice(&std::mem::take(&mut self.resuming.first));
        if self.resuming.transcript.is_some()
            && let Some(failure) = failure_in(&said)
        {
            self.count(&said);
            self.resuming.broken = Some(failure);
            return;
        }
        if let Some(wire) = wire.filter(|_| passing.writer.is_none()) {
            if let Some(transcript) = &mut self.resuming.transcript {
                transcript.marks.take(wire);
            }
            out.extend_from_slice(&wire.to_bytes());
        }
        self.count(&said);
        for event in said {
            let joined = match &mut self.resuming.seam {
                Some(seam) => seam.pass(event),
                None => vec![event],
            };
            for event in joined {
                if !self.tell(passing, event, out) {
                    return;
                }
            }
        }
    }

    /// Notes what the upstream says it used, before that is added to what others did.
    fn count(&mut self, said: &[Event]) {
        let Some(transcript) = &mut self.resuming.transcript else { return };
        for event in said.iter().filter(|event| matches!(event.kind, EventKind::Usage(_))) {
            transcript.note(event);
        }
    }

    /// Tells the client an event; false where the stream stops with it and may go on elsewhere.
    fn tell(&mut self, passing: &mut Passing, event: Event, out: &mut BytesMut) -> bool {
        if let Some(transcript) = &mut self.resuming.transcript {
            if let EventKind::Failed(failure) = event.kind {
                self.resuming.broken = Some(failure);
                return false;
            }
            if !matches!(event.kind, EventKind::Usage(_)) {
                transcript.note(&event);
            }
        }
        self.say(passing, event, out);
        true
    }
}

fn failure_in(said: &[Event]) -> Option<Failure> {
    said.iter().find_map(|event| match &event.kind {
        EventKind::Failed(failure) => Some(failure.clone()),
        _ => None,
    })
}

// === impl Remains ===

impl Remains {
    /// Ends the stream with a failure: the client's last words for it, and what was learnt of the answer. Neither where
    /// the client hears an upstream's own bytes.
    pub fn fail(self, failure: Failure) -> (Bytes, Option<Told>) {
        let Self { writer, mut told, transcript, .. } = self;
        let Some(mut writer) = writer else { return (Bytes::new(), None) };
        told.usage = transcript.spent().cloned();
        told.failure = Some(failure.clone());
        let mut out = BytesMut::new();
        for kind in [EventKind::Failed(failure), EventKind::End] {
            write(&mut *writer, Event::first(kind), &mut told.losses, &mut out);
        }
        (out.freeze(), Some(told))
    }
}

// === impl Resuming ===

impl Resuming {
    /// Ids for what the upstream leaves without one.
    pub(super) fn ids(&self) -> Option<Ids> {
        self.ids.clone()
    }
}
