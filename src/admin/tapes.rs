//! The last exchanges by the admin listener: listed, made into cases, explained. Playing them computes for a while, so
//! it is done off the workers.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::body;
use super::{Admin, Said};
use crate::case::recording::Recording;
use crate::case::redact::Text;
use crate::edge::local::Asked;
use crate::exchange::finish::{millis, without_query};
use crate::fault::Fault;
use crate::gate::Gate;
use crate::gate::reload::Denied;
use crate::replay::archive::Archive;
use crate::replay::save::Saved;
use crate::tape::{Facts, Taken};
use crate::upstream::dial::Dialer;

/// Which exchanges are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// One by its id, or the beginning of it.
    id: Option<String>,
    /// So many, the newest; one unless it says.
    last: Option<usize>,
    client: Option<String>,
    user: Option<String>,
    path: Option<String>,
    /// A status such as `429`, or a kind of them such as `5xx`.
    status: Option<String>,
    /// Whether texts stay as people and models wrote them.
    #[serde(default)]
    keep_text: bool,
    /// Whether secrets and personal data stay too.
    #[serde(default)]
    as_is: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    id: String,
    with: Option<String>,
}

/// A line for each exchange that is kept, the newest first.
pub(super) fn list(admin: &Admin) -> Said {
    let (kept, bytes) = admin.kept();
    let latest = admin.latest();
    let shown: Vec<Value> = latest.iter().map(|taken| line(&taken.facts)).collect();
    Said::json(&json!({"kept": kept, "bytes": bytes, "exchanges": shown}))
}

/// Makes cases.
pub(super) async fn record(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let wish: Wish = body(&asked)?;
    if wish.as_is && admin.gate.live.load().settings.admin.public {
        let why = "`admin.public` is set: whoever reaches this address would get everybody's keys";
        return Err(Denied::new(403, why));
    }
    let archive = archive(admin)?;
    let chosen = chosen(admin, &wish)?;
    let made = tokio::task::spawn_blocking(move || {
        let text = if wish.keep_text { Text::Kept } else { Text::Replaced };
        let redaction = (!wish.as_is).then(|| archive.redaction(text));
        let all: Result<Vec<Value>, Vec<Fault>> =
            chosen.iter().map(|taken| Ok(case(taken, archive.save(taken, redaction.as_ref())?))).collect();
        all
    });
    let cases = made.await.map_err(|_| mistake())?.map_err(|faults| faulty(&faults))?;
    let root = admin.gate.live.load().bundle.as_ref().map(|bundle| bundle.root.clone());
    let root = root.and_then(|root| root.canonicalize().ok());
    Ok(Said::json(&json!({"bundle": root, "cases": cases})))
}

/// Explains one.
pub(super) async fn explain(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let question: Question = body(&asked)?;
    let archive = archive(admin)?;
    let taken = found(admin, &question.id)?;
    let reloader = admin.reloader.clone();
    let told = tokio::task::spawn_blocking(move || {
        // Whoever asks for a generation may have to wait until another is built.
        let other = match &question.with {
            Some(digits) => Some(reloader.ok_or_else(no_bundle)?.kept(digits)?),
            None => None,
        };
        let explanation = archive.explain(&taken, other.as_ref()).map_err(|faults| faulty(&faults))?;
        let mut value = explanation.to_json();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("text".to_owned(), json!(explanation.to_text()));
        }
        Ok::<_, Denied>(value)
    });
    told.await.map_err(|_| mistake())?.map(|value| Said::json(&value))
}

/// What the cache key of one is made of.
pub(super) async fn key(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let question: Question = body(&asked)?;
    let archive = archive(admin)?;
    let taken = found(admin, &question.id)?;
    let told = tokio::task::spawn_blocking(move || archive.keyed(&taken));
    let keyed = told.await.map_err(|_| mistake())?.map_err(|faults| faulty(&faults))?;
    keyed.map(|keyed| Said::json(&json!(keyed))).ok_or_else(mistake)
}

/// The exchanges that a wish means, the oldest first, as they happened.
fn chosen(admin: &Admin, wish: &Wish) -> Result<Vec<Arc<Taken>>, Denied> {
    if let Some(id) = &wish.id {
        return Ok(vec![found(admin, id)?]);
    }
    let latest = admin.latest();
    let meant = latest.into_iter().filter(|taken| wish.means(&taken.facts)).take(wish.last.unwrap_or(1));
    let mut chosen: Vec<_> = meant.collect();
    chosen.reverse();
    if chosen.is_empty() {
        let why = "no exchange that is kept is like this; `tidegate record --list` shows those that are";
        return Err(Denied::new(404, why));
    }
    Ok(chosen)
}

fn found(admin: &Admin, id: &str) -> Result<Arc<Taken>, Denied> {
    let mut found: Vec<Arc<Taken>> = admin.rings().iter().flat_map(|gate| gate.tapes.find(id)).collect();
    let whole = found.iter().position(|taken| taken.facts.id == id);
    let (kept, _) = admin.kept();
    let why = match (whole, found.len()) {
        (Some(at), _) => return Ok(found.swap_remove(at)),
        (None, 1) => return Ok(found.swap_remove(0)),
        (None, 0) => {
            format!("no exchange `{id}` among the last {kept} that are kept (`[record]` in the settings says how many)")
        }
        (None, many) => format!("`{id}` begins the ids of {many} exchanges: give more of the one that is meant"),
    };
    Err(Denied::new(404, why))
}

fn archive(admin: &Admin) -> Result<Arc<Archive>, Denied> {
    admin.archive.clone().ok_or_else(no_bundle)
}

fn no_bundle() -> Denied {
    Denied::new(409, "this gate serves no bundle, so nothing is kept to be played again")
}

fn mistake() -> Denied {
    Denied::new(500, "the gate made a mistake")
}

fn faulty(faults: &[Fault]) -> Denied {
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Denied::new(409, format!("it cannot be played: {}", all.join("; ")))
}

/// An exchange in a list.
fn line(facts: &Facts) -> Value {
    json!({
        "id": facts.id,
        "at": httpdate::fmt_http_date(facts.at),
        "user": facts.identity.user,
        "client": facts.identity.client,
        "method": facts.method.as_str(),
        "path": without_query(&facts.target),
        "status": facts.status,
        "reason": facts.reason.as_str(),
        "ms": millis(facts.took),
        "generation": facts.generation,
    })
}

fn case(taken: &Taken, saved: Saved) -> Value {
    let facts = &taken.facts;
    let counts = saved.redacted.as_ref().map(|report| {
        let counts = report.counts.iter().map(|(kind, count)| (kind.names().1.to_owned(), json!(count)));
        counts.collect::<serde_json::Map<_, _>>()
    });
    let redaction = saved.redacted.as_ref().map(ToString::to_string);
    let recording =
        Recording { id: facts.id.clone(), at: facts.at, generation: facts.generation.clone(), case: saved.case };
    let mut line = Vec::new();
    let written = recording.write(&mut line).is_ok();
    json!({
        "id": facts.id,
        "name": saved.name,
        "about": saved.about,
        "case": saved.text,
        "snapshot": saved.snapshot,
        "redacted": counts,
        "redaction": redaction,
        "differences": saved.differences,
        "recording": written.then(|| String::from_utf8_lossy(&line).into_owned()),
    })
}

// === impl Admin ===

impl Admin {
    /// The gates whose exchanges are kept: the one that serves, and the previews beside it.
    fn rings(&self) -> Vec<Arc<Gate<Dialer>>> {
        let mut gates = vec![Arc::clone(&self.gate)];
        gates.extend(self.gate.lanes.gates());
        gates
    }

    /// How many exchanges are kept, and their bytes.
    fn kept(&self) -> (usize, usize) {
        let sizes = self.rings().into_iter().map(|gate| gate.tapes.size());
        sizes.fold((0, 0), |(kept, bytes), (more, size)| (kept + more, bytes + size))
    }

    /// The exchanges that are kept, the newest first.
    fn latest(&self) -> Vec<Arc<Taken>> {
        let mut all: Vec<Arc<Taken>> = self.rings().iter().flat_map(|gate| gate.tapes.latest()).collect();
        all.sort_by_key(|taken| std::cmp::Reverse(taken.facts.at + taken.facts.took));
        all
    }
}

// === impl Wish ===

impl Wish {
    fn means(&self, facts: &Facts) -> bool {
        let has = |wanted: &Option<String>, is: Option<&String>| match wanted {
            Some(wanted) => is.is_some_and(|is| is.to_lowercase().contains(&wanted.to_lowercase())),
            None => true,
        };
        let path = without_query(&facts.target).to_owned();
        has(&self.client, facts.identity.client.as_ref())
            && has(&self.user, facts.identity.user.as_ref())
            && has(&self.path, Some(&path))
            && self.status.as_ref().is_none_or(|wanted| is_status(wanted, facts.status))
    }
}

/// Whether a status is the one that is wanted, or of its kind.
fn is_status(wanted: &str, status: Option<u16>) -> bool {
    let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    match wanted.strip_suffix("xx") {
        Some(kind) => status.starts_with(kind),
        None => status == wanted,
    }
}
