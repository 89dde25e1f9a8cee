//! Writes down where an answer of `OpenAI`'s Responses was made, from the very bytes that the client is sent, and before it
//! has heard the last of them: its next request may come at once.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use memchr::memmem::Finder;
use serde::Deserialize;

use crate::exchange::wire::Dial;
use crate::exchange::{Exchange, heads};
use crate::gate::Gate;
use crate::message::{ResponseHead, ServedBy};
use crate::stream::decode::Decoder;
use crate::stream::{Event, Splitter, Wire};
use crate::upstream::affinity::{Affinity, Home, Made, Mark, Sealed};

/// Answers and events longer than this are not read. They pass all the same.
const MOST: usize = 16 * 1024 * 1024;

/// What stands in every event that is read.
static TELLS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
    ["\"response.completed\"", "\"response.incomplete\"", "\"response.done\"", "\"encrypted_content\""].map(Finder::new)
});

/// Listens to one answer.
pub struct Scribe {
    affinity: Arc<Affinity>,
    home: Arc<Home>,
    remember: Duration,
    /// The answer's mark in the cache, and how long it may be there.
    stored: Option<(Mark, Duration)>,
    /// Whether it comes from the cache: then what is known of its marks says more than its place there, which may have
    /// been given to another endpoint's answer by now.
    again: bool,
    /// Undoes the compression that client and upstream agreed on.
    decoder: Option<Decoder>,
    form: Form,
    /// Bytes of the body that are still to come, where its head told.
    left: Option<u64>,
    /// What the items of a stream told before its end.
    marks: Vec<Mark>,
    /// Whether the answer has come to a good end.
    made: bool,
}

/// The form of the answer.
enum Form {
    Stream(Splitter),
    Whole(Vec<u8>),
    /// It is not what it says it is, or too much: nothing is noted.
    Lost,
}

/// An event of a stream.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    response: Option<Made>,
    #[serde(default)]
    item: Sealed,
}

/// A whole answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(flatten)]
    made: Made,
}

/// Begins to listen to an answer, when requests are to go where it was made.
pub(in crate::exchange) async fn listen<D: Dial>(
    gate: &Gate<D>,
    x: &Exchange,
    served_by: ServedBy,
    head: &ResponseHead,
    wire: Option<Wire>,
) -> Option<Box<Scribe>> {
    if x.translated.is_some() || !head.status.is_success() {
        return None;
    }
    let key = x.cache.key.as_ref().map(|key| Mark::stored(&key.question()));
    let again = matches!(served_by, ServedBy::Cache { .. });
    let (home, stored) = match served_by {
        ServedBy::Upstream { upstream, endpoint } => {
            let ttl = x.cache.rule.as_ref().filter(|rule| rule.write).map(|rule| rule.ttl);
            (Arc::new(Home { upstream, endpoint }), key.zip(ttl))
        }
        ServedBy::Cache { .. } => (gate.affinity.get(&key?).await?, None),
        ServedBy::Policy => return None,
    };
    let rule = x.generation.upstreams.get(&home.upstream)?.affinity?;
    let said = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let decoder = match said("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        Some(coding) => Some(Decoder::of(coding, MOST)?),
        None => None,
    };
    let wire = wire.or_else(|| Wire::of(said("content-type")?));
    Some(Box::new(Scribe {
        affinity: Arc::clone(&gate.affinity),
        home,
        remember: rule.remember,
        stored,
        again,
        decoder,
        form: wire.map_or_else(|| Form::Whole(Vec::new()), |wire| Form::Stream(Splitter::new(wire, MOST))),
        left: heads::content_length(&head.headers),
        marks: Vec::new(),
        made: false,
    }))
}

// === impl Scribe ===

impl Scribe {
    /// Hears a piece that is about to be sent; true when the answer is complete with it and should be noted first.
    pub(in crate::exchange) fn hear(&mut self, piece: &Bytes) -> bool {
        if matches!(self.form, Form::Lost) || self.made {
            return false;
        }
        self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
        let piece = match &mut self.decoder {
            None => Ok(piece.clone()),
            Some(decoder) => decoder.push(piece),
        };
        let Ok(piece) = piece else {
            self.form = Form::Lost;
            return false;
        };
        match &mut self.form {
            Form::Whole(body) if body.len() + piece.len() <= MOST => {
                body.extend_from_slice(&piece);
                self.left == Some(0) && self.read_whole()
            }
            Form::Stream(splitter) => {
                splitter.push(piece);
                self.read_events()
            }
            Form::Whole(_) | Form::Lost => {
                self.form = Form::Lost;
                false
            }
        }
    }

    /// The answer has come to its end; true when it is complete with that and should be noted before the client is told.
    pub(in crate::exchange) fn end(&mut self) -> bool {
        !self.made && matches!(self.form, Form::Whole(_)) && self.read_whole()
    }

    fn read_whole(&mut self) -> bool {
        let Form::Whole(body) = std::mem::replace(&mut self.form, Form::Lost) else { return false };
        if let Ok(answer) = serde_json::from_slice::<Answer>(&body)
            && answer.status != "failed"
        {
            self.marks.extend(answer.made.marks());
            self.made = true;
        }
        self.made
    }

    fn read_events(&mut self) -> bool {
        loop {
            let Form::Stream(splitter) = &mut self.form else { return self.made };
            match splitter.next() {
                Ok(Some(event)) => self.event(&event),
                Ok(None) => return self.made,
                Err(_) => self.form = Form::Lost,
            }
        }
    }

    fn event(&mut self, event: &Event) {
        if !event.has_data() || TELLS.iter().all(|tells| tells.find(event.data()).is_none()) {
            return;
        }
        let Ok(said) = serde_json::from_slice::<Said>(event.data()) else { return };
        self.marks.extend(said.item.0);
        let ends = TELLS.iter().take(3).any(|tells| tells.find(event.data()).is_some());
        if let Some(made) = said.response.filter(|_| ends) {
            self.marks.extend(made.marks());
            self.made = true;
        }
    }

    /// Notes where the answer was made.
    pub(in crate::exchange) async fn note(&mut self) {
        let (marks, stored) = (std::mem::take(&mut self.marks), self.stored.take());
        // All at once: where gates share them, each is a question to Redis.
        join_all(marks.into_iter().map(|mark| self.one(mark))).await;
        if let Some((mark, ttl)) = stored {
            self.affinity.put(mark, &self.home, self.remember.max(ttl)).await;
        }
    }

    async fn one(&self, mark: Mark) {
        let known = if self.again { self.affinity.get(&mark).await } else { None };
        self.affinity.put(mark, known.as_ref().unwrap_or(&self.home), self.remember).await;
    }
}
