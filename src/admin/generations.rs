//! Generations by the admin listener: JSON in, JSON out; the work is done off the workers.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::routes::body;
use super::{Admin, Said};
use crate::edge::local::Asked;
use crate::gate::canary::Order;
use crate::gate::reload::{Denied, Promotion, Reloader};
use crate::settings::parse_duration;

/// How long a token lasts unless someone says.
const USUAL_PREVIEW: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    generation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promote {
    generation: Option<String>,
    percent: Option<f64>,
    by: Option<String>,
    #[serde(rename = "for")]
    time: Option<String>,
    abort: Option<String>,
    #[serde(default)]
    stop: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preview {
    generation: Option<String>,
    #[serde(rename = "for")]
    time: Option<String>,
}

pub(super) async fn list(admin: &Admin) -> Result<Said, Denied> {
    done(admin, |reloader| Ok(reloader.list())).await
}

pub(super) async fn rollback(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let wish: Rollback = body(&asked)?;
    done(admin, move |reloader| reloader.rollback(wish.generation.as_deref())).await
}

pub(super) async fn promote(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let wish: Promote = body(&asked)?;
    match (&wish.generation, wish.stop) {
        (None, true) => done(admin, Reloader::stop).await,
        (Some(_), true) => Err(Denied::new(400, "`stop` ends the canary that runs: it takes no generation")),
        (None, false) => Err(Denied::new(400, "`generation` is missing: which one is to serve?")),
        (Some(generation), false) => {
            let (generation, promotion) = (generation.clone(), promotion(&wish)?);
            done(admin, move |reloader| reloader.promote(&generation, promotion)).await
        }
    }
}

pub(super) async fn preview(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let wish: Preview = body(&asked)?;
    let time = duration("for", wish.time.as_deref())?.unwrap_or(USUAL_PREVIEW);
    done(admin, move |reloader| reloader.preview(wish.generation.as_deref(), time)).await
}

/// What is asked for, if it makes sense.
fn promotion(wish: &Promote) -> Result<Promotion, Denied> {
    let Some(percent) = wish.percent else {
        if wish.by.is_some() || wish.time.is_some() || wish.abort.is_some() {
            return Err(Denied::new(
                400,
                "`by`, `for` and `abort` need `percent`: without it everyone is served at once",
            ));
        }
        return Ok(Promotion::Whole);
    };
    if !(percent > 0.0 && percent <= 100.0) {
        return Err(Denied::new(400, format!("`percent` is {percent}: it is above 0, up to 100")));
    }
    let bad = |name: &str, why: String| Denied::new(400, format!("`{name}`: {why}"));
    let by = wish.by.as_deref().map(str::parse).transpose().map_err(|why| bad("by", why))?;
    let abort = wish.abort.as_deref().map(str::parse).transpose();
    let abort = abort.map_err(|why: crate::gate::canary::abort::Unread| bad("abort", why.to_string()))?;
    let time = duration("for", wish.time.as_deref())?;
    Ok(Promotion::Share(Order { percent, by: by.unwrap_or_default(), time, abort }))
}

fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>, Denied> {
    let read = text.map(parse_duration).transpose();
    read.map_err(|why| Denied::new(400, format!("`{name}`: {why}")))
}

/// Lets the reloader do something, on a thread that may wait.
async fn done(
    admin: &Admin,
    act: impl FnOnce(&Reloader) -> Result<Value, Denied> + Send + 'static,
) -> Result<Said, Denied> {
    let reloader = admin.reloader.clone();
    let reloader: Arc<Reloader> =
        reloader.ok_or_else(|| Denied::new(409, "this gate serves no bundle, so there are no generations"))?;
    let acted = tokio::task::spawn_blocking(move || act(&reloader)).await;
    acted.map_err(|_| Denied::new(500, "the gate made a mistake"))?.map(|value| Said::json(&value))
}
