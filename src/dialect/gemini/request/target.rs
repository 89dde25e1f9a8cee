//! The path and query of a call: Gemini names its model and its way of answering there.

/// What a path says.
pub(super) struct Target {
    /// The model's name, without `models/` before it.
    pub model: String,
    /// Whether the answer is wanted chunk by chunk.
    pub stream: bool,
}

/// The characters that stand in a path as they are, besides letters and digits (RFC 3986, `pchar`, without the colon
/// that sets off the method and the slash).
const PLAIN: &[u8] = b"-._~!$&'()*+,;=@";

// === impl Target ===

impl Target {
    /// Reads `/v1beta/models/{model}:{method}`, or Vertex's longer path.
    pub(super) fn read(target: &str) -> Self {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let path = path.trim_end_matches('/');
        let (resource, method) = path.rsplit_once(':').unwrap_or((path, ""));
        let model = if let Some((_, model)) = resource.rsplit_once("/models/") {
            model
        } else if let Some(at) = ["/tunedModels/", "/endpoints/"].iter().find_map(|kind| resource.rfind(kind)) {
            resource.get(at + 1..).unwrap_or_default()
        } else {
            resource.rsplit('/').next().unwrap_or_default()
        };
        Self { model: decode(model), stream: method == "streamGenerateContent" }
    }

    /// Writes the Gemini API's path. Streams are asked for as server-sent events.
    pub(super) fn write(&self) -> String {
        let model = self.model.strip_prefix("models/").unwrap_or(&self.model);
        let kinds = ["tunedModels/", "endpoints/"];
        let (kind, name) =
            kinds.iter().find_map(|kind| Some((*kind, model.strip_prefix(kind)?))).unwrap_or(("models/", model));
        let method = if self.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        format!("/v1beta/{kind}{}:{method}", encode(name))
    }
}

/// A path and query with another model in the place of its own; `None` where it names none.
pub(in crate::dialect::gemini) fn renamed(target: &str, model: &str) -> Option<String> {
    let path = target.find('?').map_or(target, |query| target.get(..query).unwrap_or(target));
    let start = path.rfind("/models/")? + "/models/".len();
    let end = start + path.get(start..)?.rfind(':')?;
    let model = encode(model.strip_prefix("models/").unwrap_or(model));
    Some(format!("{}{model}{}", target.get(..start)?, target.get(end..)?))
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(half), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    out
}

fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%');
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_from_every_path() {
        for (path, model, stream) in [
            ("/v1beta/models/gemini-x:streamGenerateContent?alt=sse&key=:k", "gemini-x", true),
            ("/v1/projects/p/locations/l/publishers/google/models/gemini-x:generateContent", "gemini-x", false),
            ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine", false),
            ("/v1beta/models/a%2Fb%20c%3A8b:generateContent", "a/b c:8b", false),
            ("/v1beta/models/50%25%zz:generateContent", "50%%zz", false),
        ] {
            let target = Target::read(path);
            assert_eq!((target.model.as_str(), target.stream), (model, stream), "{path}");
        }
    }

    #[test]
    fn a_model_takes_the_place_of_another() {
        for (path, other) in [
            (
                "/v1beta/models/a:generateContent?alt=sse&key=:k",
                Some("/v1beta/models/b%2Fc:generateContent?alt=sse&key=:k"),
            ),
            ("/x/models/a:1:countTokens", Some("/x/models/b%2Fc:countTokens")),
            ("/v1beta/models/a", None),
            ("/v1beta/models?x=/models/a:b", None),
        ] {
            assert_eq!(renamed(path, "b/c").as_deref(), other, "{path}");
        }
    }

    #[test]
    fn a_model_is_encoded_in_the_path() {
        for (model, stream, path) in [
            ("models/gemini-x", false, "/v1beta/models/gemini-x:generateContent"),
            ("gemini-x", true, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
            ("a b:é", false, "/v1beta/models/a%20b%3A%C3%A9:generateContent"),
            ("tunedModels/mine", false, "/v1beta/tunedModels/mine:generateContent"),
            ("../..?x#", false, "/v1beta/models/..%2F..%3Fx%23:generateContent"),
        ] {
            assert_eq!(Target { model: model.to_owned(), stream }.write(), path);
        }
    }
}
