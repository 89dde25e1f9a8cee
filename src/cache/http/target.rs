//! Which of this site's URLs an answer speaks of in `Location` and `Content-Location`.

/// Path and query of the URL that a reference means, when it is one of the same host; `base` is the path and query of
/// the request (RFC 3986 §5.2). Fragments do not count.
pub fn local(reference: &str, base: &str, host: Option<&str>) -> Option<String> {
    let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
    let path = base.split_once('?').map_or(base, |(path, _)| path);
    if let Some((scheme, rest)) = reference.split_once("://") {
        let http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        return if http { of_host(rest, host?) } else { None };
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return of_host(rest, host?);
    }
    match reference.as_bytes().first() {
        None => Some(base.to_owned()),
        Some(b'/') => Some(without_dots(reference)),
        Some(b'?') => Some(format!("{path}{reference}")),
        Some(_) if reference.split(['/', '?']).next()?.contains(':') => None,
        Some(_) => {
            let folder = path.rfind('/').and_then(|end| path.get(..=end)).unwrap_or("/");
            Some(without_dots(&format!("{folder}{reference}")))
        }
    }
}

/// What follows an authority, when that is `host`.
fn of_host(rest: &str, host: &str) -> Option<String> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    if !authority.eq_ignore_ascii_case(host) {
        return None;
    }
    Some(if target.starts_with('/') { without_dots(target) } else { format!("/{target}") })
}

/// A target whose path has no `.` and `..` steps (RFC 3986 §5.2.4).
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at_checked(target.find('?').unwrap_or(target.len())).unwrap_or((target, ""));
    if !path.contains("/.") {
        return target.to_owned();
    }
    let mut steps: Vec<&str> = Vec::new();
    let all: Vec<&str> = path.split('/').skip(1).collect();
    for (index, step) in all.iter().enumerate() {
        let last = index + 1 == all.len();
        match *step {
            "." if last => steps.push(""),
            "." => {}
            ".." => {
                steps.pop();
                if last {
                    steps.push("");
                }
            }
            step => steps.push(step),
        }
    }
    format!("/{}{query}", steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_the_same_host_become_paths() {
        let cases = [
            ("/x?y#z", Some("/x?y")),
            ("x", Some("/a/x")),
            ("../x", Some("/x")),
            ("./", Some("/a/")),
            ("?q", Some("/a/b?q")),
            ("", Some("/a/b?c")),
            ("http://gate.test/x", Some("/x")),
            ("HTTPS://GATE.test", Some("/")),
            ("//gate.test?q", Some("/?q")),
            ("http://other.test/x", None),
            ("ftp://gate.test/x", None),
            ("mailto:a", None),
        ];
        for (reference, expected) in cases {
            assert_eq!(local(reference, "/a/b?c", Some("gate.test")).as_deref(), expected, "{reference}");
        }
        assert_eq!(local("http://gate.test/x", "/", None), None);
    }
}
