//! Mistakes, each with its place.

use super::faults;

/// The only fault of `text` stands at `place` and says all of `words`.
#[track_caller]
fn one_fault(text: &str, place: &str, words: &[&str]) {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].starts_with(&format!("tidegate.toml:{place}: ")), "{faults:#?}");
    for word in words {
        assert!(faults[0].contains(word), "`{word}` in {faults:#?}");
    }
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    one_fault("[limits]\nbodi = \"1MiB\"\n", "2:1", &["limits: unknown key `bodi`", "did you mean `body`?"]);
    one_fault("go_life = \"on-save\"\n", "1:1", &["did you mean `go_live`?"]);
}

#[test]
fn an_unknown_key_without_a_near_one_is_told_with_all() {
    one_fault("[cache]\nzzz = 1\n", "2:1", &["known: `memory`, `http`, `entry`, `disk`, `dir`"]);
}

#[test]
fn a_wrong_type_is_told_with_what_was_found() {
    one_fault("[forwarding]\nvia = 1\n", "2:7", &["forwarding.via: expected true or false, found an integer"]);
    one_fault("limits = 3\n", "1:10", &["limits: expected a table, found an integer"]);
    one_fault("policies = { file = \"a.lua\" }\n", "1:12", &["expected a list"]);
    one_fault("upstreams = []\n", "1:13", &["expected a table of names"]);
}

#[test]
fn a_bad_word_is_told_with_the_known_ones() {
    one_fault("go_live = \"on-sav\"\n", "1:11", &["go_live: `on-sav` is not known", "did you mean `on-save`?"]);
    one_fault("[log]\nlevel = \"loud\"\n", "2:9", &["`error`, `warn`, `info`"]);
}

#[test]
fn sizes_need_a_unit_and_more_than_nothing() {
    one_fault("[limits]\nbody = \"8MB\"\n", "2:8", &["`8MB` is not a size"]);
    one_fault("[limits]\nbody = 8\n", "2:8", &["expected a size like \"8MiB\""]);
    one_fault("[limits]\nbody = \"0B\"\n", "2:8", &["must be more than 0"]);
    one_fault("[limits]\nbody = \"99999999999GiB\"\n", "2:8", &["is not a size"]);
}

#[test]
fn durations_need_a_unit_and_an_end() {
    one_fault("[limits]\ndrain = \"5\"\n", "2:9", &["`5` is not a duration"]);
    one_fault("[limits]\ndrain = \"0s\"\n", "2:9", &["must be more than 0"]);
    one_fault("[limits]\ndrain = \"99999999h\"\n", "2:9", &["up to a year"]);
}

#[test]
fn numbers_outside_their_range_are_refused() {
    one_fault("workers = 0\n", "1:11", &["at least 1"]);
    one_fault("[limits]\nconnections = -1\n", "2:15", &["not between 0 and"]);
    one_fault("workers = 99999999999999999999\n", "1:11", &["too large"]);
}

#[test]
fn bad_urls_are_told_without_repeating_them() {
    for (url, why) in [
        ("127.0.0.1:9000", "http://"),
        ("ftp://host", "http:// or https://"),
        ("http://user:hidden@host", "does not belong in a URL"),
        ("http://host/?key=hidden", "no `?` or `#`"),
        ("http://host:99999", "port"),
        ("http://host:0", "port"),
        ("http://host:hidden", ""),
        ("http://", ""),
        ("http://:80", ""),
    ] {
        let text = format!("[upstreams.a]\nurl = \"{url}\"\n");
        one_fault(&text, "2:7", &["upstreams.a.url: ", why]);
        assert!(!faults(&text)[0].contains("hidden"), "{url}");
    }
}

#[test]
fn an_upstream_needs_an_address_written_one_way() {
    one_fault("[upstreams.a]\n", "1:1", &["upstreams.a: needs `url` or `endpoints`"]);
    let both = "[upstreams.a]\nurl = \"http://h\"\nendpoints = [{ url = \"http://i\" }]\n";
    one_fault(both, "1:1", &["both `url` and `endpoints`"]);
}

#[test]
fn an_endpoint_without_an_address_is_told_at_its_place() {
    let text = "[upstreams.a]\nendpoints = [\n  { url = \"http://h\" },\n  { weight = 2 },\n]\n";
    one_fault(text, "4:3", &["upstreams.a.endpoints: `url` is missing"]);
}

#[test]
fn duplicate_names_are_told_with_the_line_of_the_first() {
    let policies = "[[policies]]\nfile = \"a.lua\"\n[[policies]]\nfile = \"lib/a.luau\"\n";
    one_fault(policies, "3:1", &["policy `a` already (line 1)"]);
    let endpoints = "[upstreams.a]\nendpoints = [\n{ url = \"http://h/x\" },\n{ url = \"http://h/y\" }]\n";
    one_fault(endpoints, "4:1", &["endpoint `h:80` already (line 3)"]);
    one_fault("go_live = \"on-save\"\ngo_live = \"on-save\"\n", "2:1", &["duplicate key"]);
}

#[test]
fn only_one_upstream_is_the_default() {
    let text = "[upstreams.a]\nurl = \"http://h\"\ndefault = true\n[upstreams.b]\nurl = \"http://i\"\ndefault = true\n";
    one_fault(text, "4:1", &["upstreams.b.default: `a` (line 1) is the default already"]);
}

#[test]
fn missing_secrets_are_told_by_name() {
    one_fault("[secrets]\na = \"env:NONE\"\n", "2:5", &["secrets.a", "`NONE` is not set"]);
    one_fault("[secrets]\na = \"file:none\"\n", "2:5", &["secrets.a", "none` cannot be read"]);
    let header = "[upstreams.a]\nurl = \"http://h\"\nheaders = { x = \"${env:ONE}-${env:TWO}\" }\n";
    let faults = faults(header);
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("`ONE`") && faults[1].contains("`TWO`"), "{faults:#?}");
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    one_fault("[secrets]\na = \"sk-hidden\"\n", "2:5", &["does not belong in this file"]);
    assert!(!faults("[secrets]\na = \"sk-hidden\"\n")[0].contains("hidden"));
}

#[test]
fn headers_that_cannot_be_sent_are_refused() {
    let with = |header: &str| format!("[upstreams.a]\nurl = \"http://h\"\nheaders = {{ {header} }}\n");
    one_fault(&with("\"a b\" = \"x\""), "3:13", &["is not a header name"]);
    one_fault(&with("content-length = \"x\""), "3:13", &["the gate sets it itself"]);
    one_fault(&with("x = \"hid\\nden\""), "3:17", &["control character"]);
    one_fault(&with("x = \"${KEY}\""), "3:17", &["neither env:NAME nor file:path"]);
    one_fault(&with("x = \"${env:KEY\""), "3:17", &["not closed"]);
    one_fault(&with("x = \"1\", X = \"2\""), "3:22", &["`x` is set twice"]);
}

#[test]
fn listeners_in_each_others_way_are_told() {
    let twice = "[[listen]]\naddress = \"127.0.0.1:1\"\n[[listen]]\naddress = \"0.0.0.0:1\"\n";
    one_fault(twice, "3:1", &["conflict", "127.0.0.1:1"]);
    let admin = "[[listen]]\naddress = \"127.0.0.1:1\"\n[admin]\naddress = \"127.0.0.1:1\"\n";
    one_fault(admin, "3:1", &["the admin address 127.0.0.1:1 is in conflict"]);
    one_fault("[[listen]]\naddress = \"localhost\"\n", "2:11", &["`localhost` is not an address"]);
    one_fault("listen = []\n", "1:1", &["at least one address"]);
}

#[test]
fn an_admin_address_for_others_must_be_asked_for() {
    one_fault("[admin]\naddress = \"0.0.0.0:9\"\n", "1:1", &["admin.public = true"]);
    assert!(faults("[admin]\naddress = \"0.0.0.0:9\"\npublic = true\n").is_empty());
}

#[test]
fn certificates_must_exist_and_mean_something() {
    let tls = "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = { cert = \"none.pem\" }\n";
    let faults = faults(tls);
    assert!(faults.iter().any(|fault| fault.contains("listen.tls.cert: there is no file")), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.contains("listen.tls: `key` is missing")), "{faults:#?}");
    one_fault("[upstreams.a]\nurl = \"http://h\"\nverify = false\n", "1:1", &["verify: has no effect"]);
}

#[test]
fn policies_stay_in_the_bundle() {
    for file in ["../a.lua", "/a.lua", "a.py", "x//a.lua", "./a.lua"] {
        one_fault(&format!("[[policies]]\nfile = \"{file}\"\n"), "1:1", &["inside the bundle", file]);
    }
}

#[test]
fn a_part_is_not_larger_than_its_whole() {
    one_fault("[limits]\nbody = \"1GiB\"\n", "1:1", &["limits.body: is larger than limits.buffered_total"]);
    one_fault("[cache]\nentry = \"1GiB\"\n", "1:1", &["cache.entry: is larger than cache.memory"]);
}

#[test]
fn broken_toml_does_not_hide_other_mistakes() {
    let faults = faults("go_live = \n[limits]\nbodi = 1\n[log\nlevel = 3\n");
    assert!(faults.iter().any(|fault| fault.starts_with("tidegate.toml:1:")), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.contains("`bodi`")), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.starts_with("tidegate.toml:4:")), "{faults:#?}");
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "\
go_live = \"never\"
workers = \"two\"
[[listen]]
address = \"here\"
[admin]
address = \"0.0.0.0:1\"
[upstreams.a]
url = \"nowhere\"
timeouts = { connect = 5, heat = \"1s\" }
headers = { authorization = \"Bearer env:NONE\" }
[upstreams.b]
[[policies]]
name = \"nameless\"
[[policies]]
file = \"a.lua\"
on_error = \"ignore\"
[secrets]
openai = \"env:ALSO_NONE\"
[limits]
body = \"lots\"
[forwarding]
trusted = [\"10.0.0.0/8\", \"neighbours\"]
[fetch]
allow = [\"https://h/\", 5]
";
    let faults = faults(text);
    let lines: Vec<&str> = faults.iter().filter_map(|fault| fault.split(':').nth(1)).collect();
    let expected = ["1", "2", "4", "5", "8", "9", "9", "10", "11", "12", "16", "18", "20", "22", "24"];
    assert_eq!(lines, expected, "{faults:#?}");
}

#[test]
fn what_endpoints_are_chosen_by_and_left_alone_for_has_bounds() {
    let up = |line: &str| format!("[upstreams.up]\nurl = \"http://a\"\n{line}\n");
    one_fault(
        &up("balance.by = \"fastest\""),
        "3:14",
        &["upstreams.up.balance.by: `fastest` is not known", "`latency`"],
    );
    one_fault(&up("balance.key = \"header:a b\""), "3:15", &["`a b` is not a header name"]);
    one_fault(&up("balance.key = \"colour\""), "3:15", &["`prompt`", "`header:NAME`"]);
    one_fault(&up("balance.headroom = 101"), "1:1", &["balance.headroom: is more than 100 percent"]);
    one_fault(&up("breaker.percent = 101"), "1:1", &["breaker.percent"]);
    one_fault(&up("breaker.open = \"6m\""), "1:1", &["breaker.open: is longer than `longest`"]);
    one_fault(&up("breaker.probes = 0"), "3:18", &["at least 1"]);
    one_fault(&up("probe.path = \"models\""), "1:1", &["probe.path: must start with `/`"]);
    one_fault(&up("probe.every = \"1s\""), "3:1", &["`path` is missing"]);
    let many: Vec<String> = (0..257).map(|n| format!("{{ url = \"http://h{n}\" }}")).collect();
    one_fault(&format!("[upstreams.up]\nendpoints = [{}]\n", many.join(", ")), "1:1", &["more than 256"]);
}
