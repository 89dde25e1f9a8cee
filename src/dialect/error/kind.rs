//! What an error means: its labels decide, then its words, then its status, since makers use each loosely.

use super::said::Said;
use crate::dialect::failure::FailureKind;

/// Labels that settle what an error means, in lower case. Sources: the error pages of `OpenAI`, Anthropic, Google,
/// AWS Bedrock, Cohere, Mistral, Groq, `DeepSeek` and Ollama's, `vLLM`'s and llama.cpp's own code.
const LABELS: [(FailureKind, &[&str]); 10] = [
    (
        FailureKind::ContextLength,
        &[
            "context_length_exceeded",
            "context_window_exceeded",
            "too_many_tokens",
            "too_many_prompt_tokens",
            "prompt_too_long",
            "exceed_context_size_error",
            "model_max_prompt_tokens_exceeded",
            "string_above_max_length",
        ],
    ),
    (
        FailureKind::ContentPolicy,
        &[
            "content_filter",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "image_content_policy_violation",
            "cyber_policy_violation",
            "cyber_policy",
            "bio_policy",
            "data_inspection_failed",
            "safety",
            "prohibited_content",
        ],
    ),
    (
        FailureKind::Quota,
        &[
            "insufficient_quota",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "quota_exceeded",
            "insufficient_balance",
            "insufficient_credits",
            "usage_limit_reached",
            "payment_required",
            "servicequotaexceededexception",
        ],
    ),
    (
        FailureKind::Auth,
        &[
            "authentication_error",
            "authenticationerror",
            "invalid_authentication",
            "invalid_authentication_error",
            "invalid_api_key",
            "api_key_invalid",
            "api_key_expired",
            "api_key_service_blocked",
            "missing_api_key",
            "unauthenticated",
            "unauthorized",
            "unauthorizederror",
            "credentials_missing",
            "access_token_expired",
            "access_token_type_unsupported",
            "account_deactivated",
            "unrecognizedclientexception",
            "expiredtokenexception",
            "invalidsignatureexception",
            "incompletesignatureexception",
            "missingauthenticationtokenexception",
        ],
    ),
    (
        FailureKind::NotFound,
        &[
            "not_found_error",
            "notfounderror",
            "not_found",
            "model_not_found",
            "deploymentnotfound",
            "resourcenotfoundexception",
        ],
    ),
    (FailureKind::TooLarge, &["request_too_large", "payload_too_large", "requestentitytoolargeexception"]),
    (
        FailureKind::RateLimit,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "ratelimiterror",
            "ratelimitreached",
            "rate_limited",
            "too_many_requests",
            "toomanyrequests",
            "throttlingexception",
            "resource_exhausted",
        ],
    ),
    (
        FailureKind::Overloaded,
        &[
            "overloaded_error",
            "overloaded",
            "engine_overloaded",
            "engine_overloaded_error",
            "server_is_overloaded",
            "server_overloaded",
            "slow_down",
            "unavailable",
            "unavailable_error",
            "service_unavailable",
            "serviceunavailableexception",
            "modelnotreadyexception",
        ],
    ),
    (
        FailureKind::Timeout,
        &[
            "timeout_error",
            "timeout",
            "request_timeout",
            "deadline_exceeded",
            "modeltimeoutexception",
            "vector_store_timeout",
        ],
    ),
    (
        FailureKind::Permission,
        &[
            "permission_error",
            "permissiondeniederror",
            "permission_denied",
            "accessdeniedexception",
            "access_denied",
            "insufficient_permissions",
            "unsupported_country_region_territory",
            "forbidden",
        ],
    ),
];

/// Words of messages that settle it where labels are silent: all of a row must occur, in lower case.
const PHRASES: [(FailureKind, &[&[&str]]); 9] = [
    (
        FailureKind::ContextLength,
        &[
            &["prompt is too long"],
            &["prompt too long"],
            &["maximum context length"],
            &["maximum model length"],
            &["exceeds the maximum number of tokens"],
            &["input tokens exceeded"],
            &["too many tokens"],
            &["too many input tokens"],
            &["context length", "exceed"],
            &["context size", "exceed"],
            &["context window", "exceed"],
            &["exceed context limit"],
            &["too many total text bytes"],
            &["context length", "greater"],
            &["context length", "longer"],
            &["input is too long"],
            &["all messages is too long"],
            &["`inputs` tokens", "must be <="],
        ],
    ),
    (
        FailureKind::ContentPolicy,
        &[
            &["content management policy"],
            &["content filtering policy"],
            &["content policy"],
            &["safety system"],
            &["usage policy"],
            &["usage policies"],
            &["usage guidelines"],
            &["prohibited use"],
            &["prohibited content"],
            &["blocked due to"],
            &["responsible ai"],
            &["prompt was flagged"],
            &["input was flagged"],
        ],
    ),
    (
        FailureKind::Quota,
        &[
            &["credit balance is too low"],
            &["insufficient credits"],
            &["insufficient balance"],
            &["requires more credits"],
            &["exceeded your current quota"],
            &["used all available credits"],
            &["reached your", "usage limit"],
            &["credits are depleted"],
            &["spending cap"],
            &["insufficient funds"],
        ],
    ),
    (
        FailureKind::Auth,
        &[
            &["api key not valid"],
            &["incorrect api key"],
            &["invalid api key"],
            &["invalid api-key"],
            &["invalid x-api-key"],
            &["no auth credentials"],
            &["api key expired"],
            &["security token"],
            &["signature expired"],
            &["signature we calculated"],
            &["unregistered callers"],
            &["missing authentication"],
        ],
    ),
    (
        FailureKind::NotFound,
        &[
            &["model identifier is invalid"],
            &["requested model", "does not exist"],
            &["model", "does not exist or"],
            &["model not found"],
            &["model '", "' not found"],
            &["model", "is not supported. supported models"],
        ],
    ),
    (FailureKind::TooLarge, &[&["payload size exceeds"], &["request entity too large"], &["request body too large"]]),
    (FailureKind::Permission, &[&["location is not supported"], &["free tier is not available"], &["enable billing"]]),
    (FailureKind::RateLimit, &[&["rate limit", "exceed"], &["rate limit", "reached"], &["too many requests"]]),
    (FailureKind::Overloaded, &[&["overloaded"]]),
];

/// Words by which a limit is one of money, whatever the label says: waiting does not help.
const SPENT: [&str; 3] = ["credits are depleted", "spending cap", "insufficient funds"];

/// Words that are good enough where neither a label nor a status nor a phrase says anything: Ollama's errors are one
/// sentence each (`server/routes.go`, `server/sched.go` and `llm/server.go` of Ollama). All of a row must occur.
const GUESSES: [(FailureKind, &[&[&str]]); 9] = [
    (FailureKind::Timeout, &[&["timed out"], &["timeout"], &["deadline exceeded"]]),
    (FailureKind::NotFound, &[&["not found"], &["try pulling it"], &["no such model"]]),
    (
        FailureKind::ContextLength,
        &[
            &["context", "exceed"],
            &["context length"],
            &["context size"],
            &["context window"],
            &["context", "shift"],
            &["prompt", "too long"],
        ],
    ),
    (FailureKind::Auth, &[&["unauthorized"], &["api key"], &["not signed in"]]),
    (FailureKind::Permission, &[&["forbidden"], &["permission"]]),
    (FailureKind::Quota, &[&["usage limit"], &["quota"], &["subscription"]]),
    (FailureKind::RateLimit, &[&["rate limit"]]),
    (FailureKind::Overloaded, &[&["busy"], &["unavailable"], &["requires more", "memory"]]),
    (FailureKind::Invalid, &[&["does not support"], &["invalid"], &["is required"]]),
];

/// What an error means that came with this status, or with none that says so.
pub(super) fn of(status: Option<u16>, said: &Said<'_>) -> FailureKind {
    let by_label = said.labels.iter().find_map(|label| by_label(label));
    let message = said.message.to_lowercase();
    match by_label {
        // Who has no key is told that it is not permitted (Google).
        Some(FailureKind::Permission) | None => {}
        Some(FailureKind::RateLimit) if said.for_the_day || SPENT.iter().any(|words| message.contains(words)) => {
            return FailureKind::Quota;
        }
        Some(kind) => return kind,
    }
    by_words(status, &message).or(by_label).or_else(|| status.map(by_status)).unwrap_or_else(|| vaguely(said, &message))
}

/// The status that SDKs raise their exception for this kind by. A status that fits the kind stays.
pub(super) fn status(kind: FailureKind, stated: Option<u16>) -> u16 {
    let status = stated.unwrap_or(0);
    let (fits, usual): (&[u16], u16) = match kind {
        FailureKind::Invalid => return if (400..500).contains(&status) { status } else { 400 },
        FailureKind::Server => return if status >= 500 { status } else { 500 },
        FailureKind::ContextLength => (&[400, 413, 422], 400),
        FailureKind::ContentPolicy => (&[400, 403, 422, 451], 400),
        FailureKind::Auth => (&[401], 401),
        FailureKind::Permission => (&[403], 403),
        FailureKind::NotFound => (&[404], 404),
        FailureKind::TooLarge => (&[413], 413),
        FailureKind::RateLimit => (&[429], 429),
        FailureKind::Quota => (&[400, 402, 403, 429], 429),
        FailureKind::Overloaded => (&[503, 529], 503),
        FailureKind::Timeout => (&[408, 504, 524], 504),
    };
    if fits.contains(&status) { status } else { usual }
}

/// What a status means by itself.
pub(super) fn by_status(status: u16) -> FailureKind {
    if status < 400 { FailureKind::Invalid } else { FailureKind::of_status(status) }
}

fn by_label(label: &str) -> Option<FailureKind> {
    let is = |known: &&str| label.eq_ignore_ascii_case(known);
    LABELS.iter().find(|(_, labels)| labels.iter().any(is)).map(|(kind, _)| *kind)
}

/// What a message means, if it may mean that with this status: a rate limit's message may well speak of tokens.
fn by_words(status: Option<u16>, message: &str) -> Option<FailureKind> {
    let may = |kind: FailureKind| match (kind, status) {
        (_, None) | (FailureKind::Quota, _) => true,
        (FailureKind::Auth, Some(status)) => matches!(status, 400 | 401 | 403),
        (FailureKind::NotFound, Some(status)) => matches!(status, 400 | 404 | 422),
        (FailureKind::Overloaded, Some(status)) => status >= 500,
        (_, Some(status)) => matches!(status, 400 | 403 | 404 | 413 | 422 | 500),
    };
    PHRASES.iter().find(|(kind, rows)| may(*kind) && says(message, rows)).map(|(kind, _)| *kind)
}

/// Whether a message has all words of one of the rows.
fn says(message: &str, rows: &[&[&str]]) -> bool {
    rows.iter().any(|row| row.iter().all(|words| message.contains(words)))
}

/// What is left without a status: labels that say only whose fault it is, and guesses.
fn vaguely(said: &Said<'_>, message: &str) -> FailureKind {
    let any = |starts: &[&str]| {
        let starts_so = |label: &&str| starts.iter().any(|start| label.to_ascii_lowercase().starts_with(start));
        said.labels.iter().any(starts_so)
    };
    if any(&["invalid", "badrequest", "validation", "unsupported", "failed_precondition", "out_of_range"]) {
        FailureKind::Invalid
    } else if any(&["server_error", "internal", "api_error"]) {
        FailureKind::Server
    } else {
        let guess = GUESSES.iter().find(|(_, rows)| says(message, rows));
        guess.map_or(FailureKind::Server, |(kind, _)| *kind)
    }
}
