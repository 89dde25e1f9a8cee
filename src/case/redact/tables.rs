//! What is known of the data in exchanges, as tables: which names hold secrets, ids and structure, and how keys begin.

/// Headers whose values are credentials, in small letters.
pub(super) const SECRET_HEADERS: [&str; 14] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "apikey",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-functions-key",
    "ocp-apim-subscription-key",
    "x-signature",
];

/// How names of headers end, besides those, whose values are credentials: everybody has an `x-…-key` of their own.
pub(super) const SECRET_ENDINGS: [&str; 7] =
    ["-key", "apikey", "-token", "-secret", "-password", "-auth", "authorization"];

/// Headers that hold cookies.
pub(super) const COOKIE_HEADERS: [&str; 2] = ["cookie", "set-cookie"];

/// Headers, besides those that end in `-id`, that say whose request it is.
pub(super) const ID_HEADERS: [&str; 15] = [
    "cf-ray",
    "from",
    "openai-organization",
    "openai-project",
    "x-account",
    "x-email",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-goog-user-project",
    "x-remote-user",
    "x-session",
    "x-team",
    "x-user",
    "x-username",
];

/// Parameters of a query whose values are structure: they choose how an API answers.
pub(super) const PLAIN_PARAMETERS: [&str; 12] = [
    "$alt",
    "alt",
    "api-version",
    "beta",
    "format",
    "include",
    "include[]",
    "limit",
    "order",
    "pageSize",
    "purpose",
    "version",
];

/// Fields, parameters of queries and words before `=` or `:` whose values are secrets; small letters, without `-` and
/// `_`.
pub(super) const SECRET_FIELDS: [&str; 22] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "authorization",
    "authtoken",
    "awssecretaccesskey",
    "clientsecret",
    "cookie",
    "credential",
    "credentials",
    "idtoken",
    "key",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "sessiontoken",
    "sig",
    "signature",
    "token",
];

/// Of those, words that stand before a `:` or a number in ordinary text and JSON too: there they need a name of more
/// than one word.
pub(super) const COMMON_FIELDS: [&str; 3] = ["key", "token", "signature"];

/// Fields, besides those that end in `id`, `_id` or `_ids`, that say whose something is; small letters.
pub(super) const ID_FIELDS: [&str; 15] = [
    "account",
    "account_uuid",
    "author",
    "email",
    "organization",
    "org",
    "owner",
    "phone",
    "project",
    "prompt_cache_key",
    "safety_identifier",
    "session",
    "user",
    "username",
    "workspace",
];

/// Fields whose values are words of a dialect, while they look like such words.
pub(super) const STRUCTURE: [&str; 99] = [
    "aspect_ratio",
    "blockReason",
    "category",
    "code",
    "created_at",
    "createTime",
    "created",
    "detail",
    "done_reason",
    "dtype",
    "effort",
    "encoding",
    "encoding_format",
    "event",
    "event_type",
    "expires_at",
    "expireTime",
    "family",
    "families",
    "finishReason",
    "finish_reason",
    "finishMessage",
    "format",
    "function_call",
    "inference_geo",
    "include",
    "keep_alive",
    "kind",
    "language",
    "level",
    "mediaResolution",
    "media_type",
    "method",
    "mime_type",
    "mimeType",
    "mode",
    "model",
    "modelVersion",
    "model_name",
    "modalities",
    "modality",
    "modified_at",
    "name",
    "native_finish_reason",
    "object",
    "operation",
    "owned_by",
    "param",
    "parameter_size",
    "parent_model",
    "part_type",
    "phase",
    "probability",
    "prompt_cache_retention",
    "provider",
    "purpose",
    "quality",
    "quantization_level",
    "reason",
    "reasoning_effort",
    "required",
    "responseMimeType",
    "responseModalities",
    "response_mime_type",
    "resets_at",
    "retention",
    "role",
    "safetyRatings",
    "scope",
    "service_tier",
    "severity",
    "size",
    "speed",
    "status",
    "stop_reason",
    "stopReason",
    "strategy",
    "subtype",
    "summary_type",
    "system_fingerprint",
    "task",
    "task_type",
    "taskType",
    "thinkingLevel",
    "threshold",
    "tier",
    "tool_choice",
    "tool_name",
    "toolName",
    "trafficType",
    "truncation",
    "ttl",
    "type",
    "updated_at",
    "unit",
    "variant",
    "verbosity",
    "version",
    "voice",
];

/// Words of dialects that stay under these fields only: elsewhere they are anybody's words.
pub(super) const CHOICES: (&[&str], &[&str]) =
    (&["summary", "think", "caller"], &["auto", "concise", "detailed", "none", "low", "medium", "high", "direct"]);

/// Fields below which everything is what somebody wrote: arguments and results of tools, metadata.
pub(super) const FREE: [&str; 7] =
    ["args", "arguments", "input", "metadata", "partial_args", "structured_content", "variables"];

/// Of Gemini's results of tools, the field that is free below another.
pub(super) const FREE_BELOW: (&[&str], &str) = (&["functionResponse", "function_response"], "response");

/// Fields that hold JSON as text, also in pieces.
pub(super) const JSON_TEXTS: [&str; 4] = ["arguments", "partial_json", "input_json", "partial_args"];

/// Fields with lists of numbers that are text in another form: bytes and tokens.
pub(super) const TOKEN_LISTS: [&str; 7] = ["bytes", "context", "input", "input_ids", "prompt", "token_ids", "tokens"];

/// Fields that tell one block of a stream from another.
pub(super) const BLOCK_FIELDS: [&str; 7] =
    ["content_index", "index", "item_id", "output_index", "summary_index", "thought", "type"];

/// Fields of which events of a stream hold pieces, besides everything below `delta`.
pub(super) const PIECES: [&str; 7] = ["content", "response", "text", "thinking", "reasoning", "arguments", "delta"];

/// How keys begin, longer ones first, with how many characters follow at least.
pub(super) const KEYS: [(&str, usize); 44] = [
    ("github_pat_", 8),
    ("sk-or-v1-", 8),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("pk_live_", 8),
    ("rk_live_", 8),
    ("sk-proj-", 8),
    ("sk-ant-", 8),
    ("dop_v1_", 8),
    ("tgp_v1_", 8),
    ("glpat-", 8),
    ("nvapi-", 8),
    ("whsec_", 8),
    ("xoxa-", 8),
    ("xoxb-", 8),
    ("xoxe-", 8),
    ("xoxo-", 8),
    ("xoxp-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("pplx-", 8),
    ("pypi-", 8),
    ("csk-", 8),
    ("gsk_", 8),
    ("ghp_", 8),
    ("gho_", 8),
    ("ghu_", 8),
    ("ghs_", 8),
    ("ghr_", 8),
    ("npm_", 8),
    ("xai-", 8),
    ("AIza", 12),
    ("AKIA", 12),
    ("ASIA", 12),
    ("ya29.", 12),
    ("1//0", 20),
    ("sk-", 8),
    ("sk_", 8),
    ("pk-", 8),
    ("hf_", 8),
    ("r8_", 8),
    ("fw_", 8),
    ("SG.", 12),
];

/// How ids begin: the word stays, what follows it is replaced.
pub(super) const ID_WORDS: [&str; 46] = [
    "account",
    "acct",
    "asst",
    "batch",
    "call",
    "chatcmpl",
    "ci",
    "cmpl",
    "compl",
    "conv",
    "ctx",
    "device",
    "embd",
    "fc",
    "file",
    "fp",
    "fs",
    "ft",
    "ftjob",
    "functions",
    "gen",
    "group",
    "item",
    "modr",
    "msg",
    "msgbatch",
    "org",
    "proj",
    "project",
    "req",
    "reqid",
    "request",
    "resp",
    "rs",
    "rsp",
    "run",
    "sess",
    "session",
    "srvtoolu",
    "step",
    "thread",
    "toolu",
    "tooluse",
    "user",
    "vs",
    "ws",
];

/// Words, besides those above, that mean something to the scan: no stand-in is one.
pub(super) const RUN_WORDS: [&str; 10] =
    ["basic", "bearer", "begin", "done", "false", "home", "null", "pwd", "true", "users"];

/// How runs of letters begin that mean something to the scan, likewise.
pub(super) const RUN_STARTS: [&str; 4] = ["eyJ", "AIza", "AKIA", "ASIA"];

/// Words before `://` that stay: what an address is read by.
pub(super) const SCHEMES: [&str; 8] = ["data", "file", "ftp", "gs", "http", "https", "s3", "wss"];

/// How media begin in base64: readers tell their kind by it.
pub(super) const MEDIA: [&str; 7] = ["iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "JVBERi0", "SUQz", "T2dnUw"];

/// Fields that describe other JSON: there `type` and `required` are structure whatever stands around them.
pub(super) const SCHEMAS: [&str; 9] = [
    "input_schema",
    "inputSchema",
    "json_schema",
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "responseSchema",
    "responseJsonSchema",
    "schema",
];
