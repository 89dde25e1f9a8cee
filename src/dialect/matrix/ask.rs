//! What becomes of a feature of a request.

use serde_json::Value;

use super::side::{Feature, Side};
use super::{Outcome, Verdict, body};
use crate::dialect::codec::Malformed;
use crate::dialect::loss::Losses;

/// Asks for the feature, and looks for it in what the upstream is sent.
pub(super) fn cell(feature: &Feature, client: &Side, upstream: &Side) -> Outcome {
    match run(feature, client, upstream) {
        Ok((sent, losses)) => {
            let verdict = Verdict::of(&losses, feature.is_in(&sent, upstream));
            let mut reasons: Vec<String> = losses.iter().map(ToString::to_string).collect();
            if verdict == Verdict::Lost {
                reasons.push(format!("not in {sent}"));
            }
            (verdict, reasons)
        }
        Err(error) => (Verdict::Lost, vec![error.to_string()]),
    }
}

/// The body that the upstream is sent, and what the feature alone lost.
fn run(feature: &Feature, client: &Side, upstream: &Side) -> Result<(Value, Losses), Malformed> {
    let mut plain = client.plain(false);
    if feature.tool {
        body::merge(&mut plain, &client.tool);
    }
    let (_, usual) = sent(client, upstream, &plain)?;
    body::merge(&mut plain, feature.asks.get(&client.name).unwrap_or(&Value::Null));
    let (body, losses) = sent(client, upstream, &plain)?;
    Ok((body, losses.without(&usual)))
}

fn sent(client: &Side, upstream: &Side, body: &Value) -> Result<(Value, Losses), Malformed> {
    let (mut interpreter, chat) = client.between(upstream, false, body)?;
    let outgoing = interpreter.request(&chat);
    Ok((outgoing.body, interpreter.told.losses))
}
