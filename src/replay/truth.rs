//! Holds a play against what happened: only when both came to the same is an explanation the truth and not a guess.

use super::aspects;
use crate::case::{Played, PlayedCall};
use crate::exchange::Reason;
use crate::policy::Decision;
use crate::tape::Facts;

/// In what a play differs from the exchange that was recorded; nothing: it is the truth.
pub fn differences(facts: &Facts, played: &Played) -> Vec<String> {
    let Some(call) = played.calls.first() else { return vec!["nothing was played".to_owned()] };
    let mut differing = Vec::new();
    let mut check = |what: &str, was: String, is: String| {
        if was != is {
            differing.push(format!("{what}: {was} then, {is} now"));
        }
    };
    check("identity", format!("{:?}", facts.identity), format!("{:?}", call.identity));
    check("hooks", hooks(&facts.trace.told()), hooks(&call.decisions));
    check("plan", aspects::route(facts.plan.as_ref()), aspects::route(call.plan.as_ref()));
    check("cache", format!("{:?}", facts.cache), format!("{:?}", call.cache.verdict));
    check("attempts", attempts(&facts.attempts), attempts(&call.attempts));
    let (digest, status, _) = aspects::got(&call.got);
    check("status", format!("{:?}", facts.status), format!("{status:?}"));
    check("end", facts.reason.as_str().to_owned(), reason(call).as_str().to_owned());
    check("answer", format!("{:016x}", facts.answer), format!("{:016x}", digest.finish()));
    differing
}

fn reason(call: &PlayedCall) -> Reason {
    call.sent.reason.unwrap_or(Reason::Done)
}

/// The hooks that ran, with what came of them; how long they took is another thing each time.
fn hooks(decisions: &[Decision]) -> String {
    let told = decisions.iter().map(|decision| {
        let outcome = match (decision.failed, decision.answered) {
            (true, _) => " failed",
            (false, true) => " answered",
            (false, false) => "",
        };
        format!("{} {}{outcome}", decision.hook, decision.place.0)
    });
    told.collect::<Vec<_>>().join(", ")
}

fn attempts(attempts: &[crate::exchange::AttemptRecord]) -> String {
    let told = attempts.iter().map(|attempt| {
        let error = attempt.error.as_ref().map_or("", |error| error.kind().as_str());
        let model = attempt.model.as_deref().unwrap_or_default();
        format!("{}/{} {model} {:?} {error}", attempt.upstream, attempt.endpoint, attempt.status)
    });
    told.collect::<Vec<_>>().join(", ")
}
