//! What is not a dialect: the front page, the echo, bodies of any size, and the counters and faults of the mock itself.

use serde::Deserialize;
use serde_json::{Map, json};

use super::fault::Faults;
use super::reply::Reply;
use super::route::{Call, Refusal};
use super::state::Order;

/// The body of `POST /mock/fault`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ordered {
    /// The same as the fault `status`.
    status: Option<u16>,
    /// Faults as the header `x-mock-fault` lists them.
    fault: Option<String>,
    /// For how many model requests; without it, until healed.
    times: Option<u64>,
}

/// `GET /`: shows a person that the mock is there.
pub(super) fn front(call: &Call<'_>) -> Reply {
    Reply::text(format!("tidegate mock {}\n", call.mock.name))
}

/// `GET /bytes/N`: so many bytes.
pub(super) fn bytes(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let count = call.request.path.strip_prefix("/bytes/").and_then(|count| count.parse().ok());
    count.map(Reply::blanks).ok_or_else(|| Refusal::new(400, "The path must be /bytes/ and a number."))
}

/// `/echo…`: the request as it arrived.
pub(super) fn echo(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let request = call.request;
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut fields);
    parsed.parse(request.head).map_err(|error| Refusal::new(400, error.to_string()))?;
    let headers: Vec<_> =
        parsed.headers.iter().map(|field| (field.name, String::from_utf8_lossy(field.value))).collect();
    Ok(Reply::json(&json!({
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": headers,
            "length": request.body.len(),
            "body": std::str::from_utf8(request.body).ok(),
    })))
}

/// `GET /mock/stats`: the counters.
pub(super) fn stats(call: &Call<'_>) -> Reply {
    let stats = call.mock.stats();
    let by_path: Map<_, _> = stats.by_path.into_iter().map(|(path, count)| (path.to_owned(), count.into())).collect();
    let counters = json!({ "requests": stats.requests, "by_path": by_path, "aborted": stats.aborted });
    Reply::json(&counters)
}

/// `POST /mock/fault` makes the next model requests fail, in place of what was ordered before; `DELETE` heals.
pub(super) fn fault(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if call.request.method == "DELETE" {
        call.mock.order(None);
        return Ok(Reply::json(&json!({ "fault": null })));
    }
    let ordered: Ordered = serde_json::from_slice(call.request.body)
        .map_err(|error| Refusal::new(400, format!("The order cannot be read: {error}.")))?;
    let status = ordered.status.map(|status| format!("status={status}"));
    let list: Vec<String> = status.into_iter().chain(ordered.fault).collect();
    if list.is_empty() {
        return Err(Refusal::new(400, "An order needs a `status` or a `fault`."));
    }
    let list = list.join(";");
    let mut faults = Faults::default();
    faults.add(&list, &[';'])?;
    call.mock.order(Some(Order { faults, times: ordered.times }));
    Ok(Reply::json(&json!({ "fault": list, "times": ordered.times })))
}
