//! Asks an upstream in its own dialect and hears its answer in the client's: one attempt's side of a translation.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::{going_on, headers};
use crate::clock::Clock;
use crate::dialect::catalog;
use crate::dialect::chat::Chat;
use crate::dialect::codec::{Malformed, Outgoing};
use crate::dialect::embedding::{Embed, Vectors};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::interpreter::{Interpreter, Told};
use crate::dialect::keep::Keep;
use crate::dialect::servers::Server;
use crate::dialect::way::{self, Way};
use crate::dialect::{self, Dialect, count, openai_responses};
use crate::error::{Error, Kind};
use crate::exchange::decision::PlannedAttempt;
use crate::exchange::storing::Spoken;
use crate::exchange::{Exchange, Translated, decide};
use crate::message::{Body, HeadError, Request, ResponseHead};
use crate::stream::Wire;
use crate::upstream::{Endpoint, Upstream};

/// What an attempt needs to hear its answer by.
pub(super) enum Hearing {
    /// A chat.
    Chat(Box<Interpreter>),
    /// Embeddings.
    Embed(Box<Embedding>),
    /// A list of models for a client of a dialect; with a name, that model alone.
    Catalog { client: Dialect, upstream: Dialect, model: Option<String> },
}

/// Embeddings that were asked for.
pub(super) struct Embedding {
    asked: Embed,
    upstream: Dialect,
    told: Told,
}

/// In whose words an answer comes.
pub(super) fn spoken(hearing: Option<&Hearing>) -> Spoken<'_> {
    match hearing {
        None => Spoken::Untouched,
        Some(Hearing::Chat(interpreter)) => Spoken::Chat(interpreter),
        Some(Hearing::Embed(_) | Hearing::Catalog { .. }) => Spoken::Other,
    }
}

/// How the exchange's operation reaches an upstream. Without a dialect on both sides it passes untouched.
pub(super) fn way(x: &Exchange, upstream: &Upstream) -> Way {
    if let Some(way) = going_on::way(x, upstream) {
        return way;
    }
    let (Some(server), Some(operation)) = (upstream.server, x.dialect) else {
        return Way::Untouched;
    };
    match (lister(x, operation), server.chat) {
        (Dialect::Anthropic, Dialect::Anthropic) if operation == Dialect::OpenAiModels => Way::Untouched,
        (Dialect::Anthropic, _) if operation == Dialect::OpenAiModels => Way::Catalog(way::list(server)),
        _ => Way::to(server, operation),
    }
}

/// The dialect in which a client reads lists of models and their errors: Anthropic's path is the same as `OpenAI`'s, its
/// clients name a version.
fn lister(x: &Exchange, operation: Dialect) -> Dialect {
    let versioned = x.request.lock().head.headers.contains_key("anthropic-version");
    if operation == Dialect::OpenAiModels && versioned { Dialect::Anthropic } else { operation }
}

/// What the gate answers itself, without the upstream.
pub(super) fn here(x: &Exchange, way: Way) -> Result<Option<Bytes>, Error> {
    let operation = match (way, x.dialect) {
        (Way::Here, Some(operation)) => operation,
        (Way::Never(why), _) => return Err(Error::client(Kind::BadRequest, 400, why).with_code("unsupported")),
        _ => return Ok(None),
    };
    let tokens = if matches!(operation, Dialect::AnthropicCount | Dialect::GeminiCount) {
        let body = x.request.lock().body.bytes().unwrap_or_default();
        count::estimate(&Interpreter::read(operation, &x.target, &body).map_err(|error| malformed(&error))?)
    } else {
        0
    };
    Ok(Some(Bytes::from(way::here(operation, tokens).to_string())))
}

/// Puts the request into the upstream's dialect: path, headers and body.
pub(super) fn ask(
    x: &mut Exchange,
    keep: &Keep,
    clock: &Clock,
    planned: &PlannedAttempt,
    upstream: &Upstream,
    endpoint: &Endpoint,
    request: &mut Request,
) -> Result<Option<Hearing>, Error> {
    if x.goes_on() {
        return going_on::ask(x, keep, clock, planned, upstream, endpoint, request);
    }
    let (Some(server), Some(client)) = (upstream.server, x.dialect) else { return Ok(None) };
    let way = way(x, upstream);
    if way == Way::Untouched {
        return Ok(None);
    }
    if request.head.headers.contains_key("content-encoding") {
        let message = "a compressed request cannot be translated; send it without Content-Encoding";
        return Err(Error::client(Kind::BadRequest, 415, message));
    }
    let body = request.body.bytes().unwrap_or_default();
    let (hearing, outgoing) = match way {
        Way::Chat(to) => {
            let mut chat = Interpreter::read(client, &x.target, &body).map_err(|error| malformed(&error))?;
            stateless(client, &body)?;
            let asked = chat.without_turns();
            prepare_chat(x, keep, to, planned, &mut chat);
            let created = x.tape.wall(clock).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let created = i64::try_from(created).unwrap_or_default();
            let made = Interpreter::new(client, to, &x.target, server.habits, asked, &x.id, created);
            let mut interpreter = made.ok_or_else(|| Error::gate("there is no codec for this pair of dialects"))?;
            let outgoing = interpreter.request(&chat);
            refuse_losses(upstream, &interpreter.told)?;
            (Hearing::Chat(Box::new(interpreter)), Some(outgoing))
        }
        Way::Embed(to) => {
            let mut asked = Embed::read(client, &x.target, parsed(&body)?).map_err(|error| malformed(&error))?;
            if let Some(model) = &planned.model {
                asked.model.clone_from(model);
            }
            let mut told = Told::default();
            let outgoing = asked.write(to, &mut told.losses).map_err(|error| malformed(&error))?;
            refuse_losses(upstream, &told)?;
            (Hearing::Embed(Box::new(Embedding { asked, upstream: to, told })), Some(outgoing))
        }
        Way::Catalog(upstream) => {
            let model = model_of(client, &x.target, &body);
            (Hearing::Catalog { client: lister(x, client), upstream, model }, None)
        }
        Way::Untouched | Way::Here | Way::Never(_) => return Ok(None),
    };
    let model = planned.model.as_deref().unwrap_or_default();
    send_to(request, server, endpoint, outgoing, model, &hearing)?;
    headers::translate(&mut request.head, server, endpoint, &x.target);
    Ok(Some(hearing))
}

/// What goes out: the plan's model, and the thoughts that this upstream's maker had sealed.
pub(super) fn prepare_chat(x: &Exchange, keep: &Keep, to: Dialect, planned: &PlannedAttempt, chat: &mut Chat) {
    if let Some(model) = &planned.model {
        chat.model.clone_from(model);
    }
    keep.restore_by(&holder(x), to, chat, |name, kept| {
        x.tape.ask(|| format!("thoughts {}", blake3::Hash::from_bytes(*name).to_hex()), || kept)
    });
}

/// For whom thoughts are kept.
fn holder(x: &Exchange) -> String {
    let holder = decide::holder(x.identity.user.as_deref(), &x.request.lock().head);
    holder.unwrap_or_else(|| x.client_ip.to_string())
}

/// A Responses request may lean on what only its own upstream remembers.
fn stateless(client: Dialect, body: &[u8]) -> Result<(), Error> {
    if client != Dialect::OpenAiResponses {
        return Ok(());
    }
    match openai_responses::needs_state(&parsed(body)?) {
        None => Ok(()),
        Some(field) => {
            let message = format!("`{field}` needs an upstream that speaks OpenAI's Responses; this one does not");
            Err(Error::client(Kind::BadRequest, 400, message).with_code("unsupported"))
        }
    }
}

/// Refuses what the settings of the upstream do not let pass.
pub(super) fn refuse_losses(upstream: &Upstream, told: &Told) -> Result<(), Error> {
    if !upstream.refuses_losses || told.losses.is_empty() {
        return Ok(());
    }
    let message = format!("this upstream cannot be asked for this without a loss: {}", told.losses);
    Err(Error::client(Kind::BadRequest, 400, message).with_code("translation_loss"))
}

/// Gives a request its new target and body.
pub(super) fn send_to(
    request: &mut Request,
    server: &Server,
    endpoint: &Endpoint,
    outgoing: Option<Outgoing>,
    model: &str,
    hearing: &Hearing,
) -> Result<(), Error> {
    let target = match (&outgoing, hearing) {
        (Some(outgoing), _) => server.target(&outgoing.target, model, None).into_owned(),
        (None, Hearing::Catalog { upstream, .. }) => way::list_target(*upstream).to_owned(),
        (None, _) => return Ok(()),
    };
    let path = format!("{}{}", endpoint.prefix, below(&endpoint.prefix, &target));
    request
        .head
        .set_raw_path(path.as_bytes())
        .map_err(|error| Error::gate("the translated target cannot be sent").with_detail(error.to_string()))?;
    request.body = match outgoing {
        Some(outgoing) => Body::Whole(outgoing.bytes()),
        None => Body::Empty,
    };
    request.head.set_method(if matches!(hearing, Hearing::Catalog { .. }) { Method::GET } else { Method::POST });
    Ok(())
}

/// A server's target without what the URL of the settings already says: people write it with and without `/v1`.
pub(super) fn below<'a>(prefix: &str, target: &'a str) -> &'a str {
    let path = target.split('?').next().unwrap_or_default();
    let steps = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    let longest = steps.filter(|at| target.get(..*at).is_some_and(|start| prefix.ends_with(start))).max();
    longest.and_then(|at| target.get(at..)).unwrap_or(target)
}

/// The model that a request for one model names.
fn model_of(client: Dialect, target: &str, body: &[u8]) -> Option<String> {
    match client {
        Dialect::OllamaShow => {
            let value: Value = serde_json::from_slice(body).ok()?;
            let name = value.get("model").or_else(|| value.get("name"))?;
            name.as_str().map(str::to_owned)
        }
        Dialect::GeminiModels => {
            let path = target.split('?').next()?;
            path.rsplit_once("/models/").map(|(_, name)| name.to_owned())
        }
        _ => None,
    }
}

fn parsed(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body).map_err(|error| malformed(&Malformed::at("body", format!("not JSON: {error}"))))
}

pub(super) fn malformed(error: &Malformed) -> Error {
    Error::client(Kind::BadRequest, 400, error.to_string()).with_code("malformed")
}

// === impl Hearing ===

impl Hearing {
    /// The dialect in which the client of this operation is answered.
    pub(super) fn client(&self, operation: Dialect) -> Dialect {
        match self {
            Self::Catalog { client, .. } => *client,
            _ => operation,
        }
    }

    /// What could not be carried of the request.
    pub(super) fn told(&self) -> Option<&Told> {
        match self {
            Self::Chat(interpreter) => Some(&interpreter.told),
            Self::Embed(embedding) => Some(&embedding.told),
            Self::Catalog { .. } => None,
        }
    }

    /// Translates a whole answer of status 2xx. A failure is one that the upstream hid in it, or that it is garbage.
    pub(super) fn whole(&mut self, client: Dialect, body: &[u8], wire: Option<Wire>) -> Result<Bytes, Failure> {
        match self {
            Self::Chat(interpreter) => interpreter.whole(body, wire),
            Self::Embed(embedding) => {
                let Embedding { asked, upstream, told } = &mut **embedding;
                let vectors = Vectors::read(*upstream, body).map_err(|error| garbage(&error))?;
                told.usage.clone_from(&vectors.usage);
                let written = vectors.write(client, asked, &mut told.losses);
                written.map(Bytes::from).map_err(|error| garbage(&error))
            }
            Self::Catalog { upstream, model, .. } => {
                let value =
                    serde_json::from_slice(body).map_err(|error| garbage(&Malformed::at("body", error.to_string())))?;
                let models = catalog::read(*upstream, value).map_err(|error| garbage(&error))?;
                list(client, model.as_deref(), &models)
            }
        }
    }

    /// The media type of what [`Self::whole`] made.
    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Chat(interpreter) => interpreter.content_type(),
            _ => "application/json",
        }
    }

    /// An upstream's error, for the client.
    pub(super) fn refusal(&self, client: Dialect, status: StatusCode, body: &[u8], id: &str) -> (u16, Bytes) {
        if let Self::Chat(interpreter) = self {
            return interpreter.refusal(status.as_u16(), body, id);
        }
        let upstream = match self {
            Self::Embed(embedding) => embedding.upstream,
            Self::Catalog { upstream, .. } => *upstream,
            Self::Chat(_) => client,
        };
        refused(client, &dialect::error::read(upstream, status.as_u16(), body), id)
    }

    /// What the exchange keeps of it at its end.
    pub(super) fn into_translated(self, x: &Exchange) -> Translated {
        let told = match self {
            Self::Chat(interpreter) => interpreter.told,
            Self::Embed(embedding) => embedding.told,
            Self::Catalog { .. } => Told::default(),
        };
        translated(x, told)
    }
}

/// What an exchange keeps of a translation.
pub(in crate::exchange) fn translated(x: &Exchange, told: Told) -> Translated {
    Translated { holder: holder(x), told }
}

/// A failure in the client's dialect.
pub(super) fn refused(client: Dialect, failure: &Failure, id: &str) -> (u16, Bytes) {
    let (status, body) = dialect::error::write(client, failure, id);
    (status, Bytes::from(body.to_string()))
}

/// The list of models that a client asked for, or the one that it named.
fn list(client: Dialect, model: Option<&str>, models: &[catalog::Model]) -> Result<Bytes, Failure> {
    let unknown = || Failure {
        status: 404,
        kind: FailureKind::NotFound,
        message: format!("model `{}` not found", model.unwrap_or_default()),
        code: Some("model_not_found".to_owned()),
        param: None,
    };
    let value = match (client, model) {
        (Dialect::OllamaShow, name) => catalog::ollama::show(name.unwrap_or_default(), models).ok_or_else(unknown)?,
        (_, Some(name)) => {
            let one = models.iter().find(|model| model.id == name).ok_or_else(unknown)?;
            let list = catalog::write(client, std::slice::from_ref(one));
            list.get("models").and_then(|list| list.get(0)).cloned().unwrap_or(list)
        }
        (_, None) => catalog::write(client, models),
    };
    Ok(Bytes::from(value.to_string()))
}

fn garbage(error: &Malformed) -> Failure {
    Failure::ours("garbage", &format!("the upstream's answer is not of its dialect: {error}"))
}

/// Marks an answer's head as one of the client's dialect, whose body is this long unless it streams.
pub(in crate::exchange) fn reword(
    head: &mut ResponseHead,
    content_type: &'static str,
    length: Option<usize>,
) -> Result<(), Error> {
    for name in ["content-length", "content-encoding", "transfer-encoding"] {
        head.remove_header(name);
    }
    let bad = |error: HeadError| Error::gate("a translated head cannot be sent").with_detail(error.to_string());
    head.insert_header("Content-Type", HeaderValue::from_static(content_type)).map_err(bad)?;
    match length {
        Some(length) => head.insert_header("Content-Length", length).map_err(bad),
        None => Ok(()),
    }
}
