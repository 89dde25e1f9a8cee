//! What an upstream says went wrong, in no dialect's words.

/// An upstream's error, from a body or from within a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status; inside a stream the one that fits.
    pub status: u16,
    /// What it means.
    pub kind: FailureKind,
    /// The upstream's own words. Already stripped of keys and addresses.
    pub message: String,
    /// The upstream's machine-readable code (`context_length_exceeded`, `model_not_found`), as it came.
    pub code: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
}

/// What a failure means, whatever the dialect calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The request is not valid.
    Invalid,
    /// It is longer than the model's context.
    ContextLength,
    /// A content policy forbids it.
    ContentPolicy,
    /// The key is missing or wrong.
    Auth,
    /// The key may not do this.
    Permission,
    /// The model, or the path, does not exist.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// Too many requests or tokens; see the response's Retry-After.
    RateLimit,
    /// The account's money or quota is used up.
    Quota,
    /// The upstream has no room now.
    Overloaded,
    /// It took too long.
    Timeout,
    /// The upstream broke.
    Server,
}

// === impl Failure ===

impl Failure {
    /// A stream that ended before its dialect's end.
    pub fn cut() -> Self {
        Self::ours("stream_cut", "the upstream's stream ended before the answer did")
    }

    /// An event of a stream that is not JSON.
    pub fn garbage() -> Self {
        Self::ours("garbage", "the upstream sent an event that is not JSON")
    }

    /// What the upstream did without saying so.
    pub fn ours(code: &str, message: &str) -> Self {
        let (message, code) = (message.to_owned(), Some(code.to_owned()));
        Self { status: 502, kind: FailureKind::Server, message, code, param: None }
    }
}

// === impl FailureKind ===

impl FailureKind {
    /// The kind in one word, for logs and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Server => "server",
        }
    }

    /// What an HTTP status says by itself.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 407 => Self::Auth,
            402 => Self::Quota,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 | 524 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::Invalid,
            _ => Self::Server,
        }
    }
}
