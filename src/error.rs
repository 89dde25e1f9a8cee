//! What can go wrong in an exchange: whose fault it is, what the client is told, whether another try makes sense.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client sent something it should not have, or left.
    Client,
    /// A policy threw, looped, or answered with something that is not an answer.
    Policy,
    /// An upstream could not be reached, or did not keep to HTTP.
    Upstream,
    /// The gate itself: a limit of its own, or a mistake of ours.
    Gate,
}

/// What went wrong, as policies, logs and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or ambiguous.
    BadRequest,
    /// A policy refused the request.
    Rejected,
    /// The request is larger than a limit.
    TooLarge,
    /// No plan: no policy chose an upstream and there is no default.
    NoRoute,
    /// A hook failed.
    PolicyError,
    /// A hook ran past its deadline.
    PolicyTimeout,
    /// An endpoint could not be resolved or connected to.
    Connect,
    /// TLS with an endpoint failed: certificate, name, protocol.
    Tls,
    /// An endpoint closed or reset the connection before the response was whole.
    Reset,
    /// An endpoint did not answer in time.
    Timeout,
    /// An endpoint sent something that is not HTTP, or a body against its framing.
    Garbage,
    /// An upstream's stream carried an error event, or ended before its terminal event.
    StreamError,
    /// The client left.
    ClientGone,
    /// The gate is at one of its limits.
    Overloaded,
    /// Another attempt that was made beside this one answered first.
    Outrun,
    /// A mistake of ours.
    Internal,
}

/// An error of an exchange. Cheap to clone: it is shown to hooks, logged, counted and rendered.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    fault: Fault,
    kind: Kind,
    status: u16,
    message: String,
    detail: Option<String>,
    code: Option<String>,
    retry_after: Option<Duration>,
}

// === impl Kind ===

impl Kind {
    /// The kind's name, as hooks and logs show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Rejected => "rejected",
            Self::TooLarge => "too_large",
            Self::NoRoute => "no_route",
            Self::PolicyError => "policy_error",
            Self::PolicyTimeout => "policy_timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Garbage => "garbage",
            Self::StreamError => "stream_error",
            Self::ClientGone => "client_gone",
            Self::Overloaded => "overloaded",
            Self::Outrun => "outrun",
            Self::Internal => "internal",
        }
    }
}

// === impl Error ===

impl Error {
    /// An error of any kind; `message` may be shown to the client, so it names no address and no secret.
    pub fn new(fault: Fault, kind: Kind, status: u16, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            fault,
            kind,
            status,
            message: message.into(),
            detail: None,
            code: None,
            retry_after: None,
        }))
    }

    /// A mistake of the client: `status` is what it is told.
    pub fn client(kind: Kind, status: u16, message: impl Into<String>) -> Self {
        Self::new(Fault::Client, kind, status, message)
    }

    /// A failure of an upstream, told to the client as 502, or 504 when it took too long.
    pub fn upstream(kind: Kind, message: impl Into<String>) -> Self {
        let status = if kind == Kind::Timeout { 504 } else { 502 };
        Self::new(Fault::Upstream, kind, status, message)
    }

    /// An endpoint that could not be connected to in time: it was sent nothing, so that any request may go elsewhere.
    pub fn unreached() -> Self {
        Self::new(Fault::Upstream, Kind::Connect, 504, "the upstream could not be connected to in time")
    }

    /// Whether it is one of [`Error::unreached`].
    pub fn is_unreached(&self) -> bool {
        self.0.kind == Kind::Connect && self.0.status == 504
    }

    /// A mistake of the gate.
    pub fn gate(message: impl Into<String>) -> Self {
        Self::new(Fault::Gate, Kind::Internal, 500, message)
    }

    /// Adds what only the operator should read: addresses, file and line, the cause.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        let detail = Some(detail.into());
        Self(Arc::new(Inner { detail, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Names the error for the client's program in a word of the one who raised it.
    #[must_use]
    pub fn with_code(self, code: impl Into<String>) -> Self {
        let code = Some(code.into());
        Self(Arc::new(Inner { code, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Says when the client may come again.
    #[must_use]
    pub fn with_retry_after(self, after: Duration) -> Self {
        let retry_after = Some(after);
        Self(Arc::new(Inner { retry_after, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// The error in one word, for the client's program.
    pub fn code(&self) -> &str {
        self.0.code.as_deref().unwrap_or(self.0.kind.as_str())
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The status the client gets when nothing was sent yet.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The sentence for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// When the client may come again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The sentence for the operator, if there is more to say.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.detail {
            Some(detail) => write!(f, "{}: {detail}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self, self.0.kind.as_str())
    }
}

impl std::error::Error for Error {}
