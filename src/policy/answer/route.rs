//! Reads where a plan sends a request, and how each attempt is to be made.

use mlua::{Table, Value};

use super::Reading;
use crate::dialect::continuation::CutTool;
use crate::exchange::decision::{Plan, PlannedAttempt, PlannedHold, PlannedTimeouts, Route};
use crate::policy::failure::Failure;
use crate::settings::Priority;
use crate::upstream::hold::{Hedge, Until};

impl Reading<'_> {
    /// What `route` returned.
    pub(in crate::policy) fn route(&self, value: &Value) -> Result<Option<Route>, Failure> {
        if let Some(answer) = self.respond(value) {
            return Ok(Some(Route::Answer(answer)));
        }
        let table = match value {
            Value::Nil => return Ok(None),
            Value::Table(table) => table,
            other => {
                return Err(self.wrong(other, "nil, an attempt { upstream = … }, a list of them, or respond { … }"));
            }
        };
        let attempts = if table.raw_len() == 0 {
            vec![self.attempt(table)?]
        } else {
            let items = table.sequence_values::<Table>();
            items
                .map(|item| {
                    let item = item.map_err(|_| self.misuse("returned a list with something else than attempts"));
                    self.attempt(&item?)
                })
                .collect::<Result<_, _>>()?
        };
        Ok(Some(Route::Plan(Plan { attempts, decided_by: self.place(), pinned: false })))
    }

    fn attempt(&self, table: &Table) -> Result<PlannedAttempt, Failure> {
        const KEYS: [&str; 11] = [
            "upstream",
            "endpoint",
            "model",
            "timeout",
            "priority",
            "timeouts",
            "hold",
            "hedge",
            "key",
            "continue_cut",
            "ping",
        ];
        let fields = self.fields(table, "an attempt", &KEYS)?;
        let Some(upstream) = fields.text("upstream")? else {
            return Err(self.misuse("returned an attempt without `upstream`"));
        };
        let priority = fields.text("priority")?.map(|word| word.parse::<Priority>());
        let priority = priority
            .transpose()
            .map_err(|why| self.misuse(format_args!("returned an attempt whose `priority` {why}")))?;
        Ok(PlannedAttempt {
            upstream,
            endpoint: fields.text("endpoint")?,
            model: fields.text("model")?,
            timeout: fields.seconds("timeout")?,
            key: fields.text("key")?,
            priority,
            timeouts: fields.table("timeouts")?.map(|table| self.timeouts(table)).transpose()?.map(Box::new),
            hold: fields.table("hold")?.map(|table| self.hold(table)).transpose()?.map(Box::new),
            hedge: fields.table("hedge")?.map(|table| self.hedge(table)).transpose()?,
            silent: fields.get::<Option<bool>>("ping")? == Some(false),
            continue_cut: match fields.text("continue_cut")?.as_deref() {
                None => None,
                Some("complete") => Some(CutTool::Complete),
                Some("close") => Some(CutTool::Close),
                Some(_) => {
                    let why = "returned an attempt whose `continue_cut` is neither \"complete\" nor \"close\"";
                    return Err(self.misuse(why));
                }
            },
        })
    }

    fn timeouts(&self, table: &Table) -> Result<PlannedTimeouts, Failure> {
        let fields = self.fields(table, "`timeouts`", &["connect", "head", "first", "idle", "total"])?;
        Ok(PlannedTimeouts {
            connect: fields.seconds("connect")?,
            head: fields.seconds("head")?,
            first: fields.seconds("first")?,
            idle: fields.seconds("idle")?,
            total: fields.seconds("total")?,
        })
    }

    fn hold(&self, table: &Table) -> Result<PlannedHold, Failure> {
        let fields = self.fields(table, "`hold`", &["until", "time", "bytes"])?;
        let until = fields.text("until")?.map(|word| word.parse::<Until>()).transpose();
        Ok(PlannedHold {
            until: until.map_err(|error| self.misuse(format_args!("returned `hold` with `until`: {error}")))?,
            time: fields.seconds("time")?,
            bytes: fields.count("bytes")?,
        })
    }

    fn hedge(&self, table: &Table) -> Result<Hedge, Failure> {
        let fields = self.fields(table, "`hedge`", &["after", "most"])?;
        let Some(after) = fields.seconds("after")? else {
            return Err(self.misuse("returned `hedge` without `after`"));
        };
        let most = fields.count("most")?.unwrap_or(1);
        Ok(Hedge { after, most: u32::try_from(most).unwrap_or(u32::MAX) })
    }
}
