//! What is right: values, defaults, order, masks, the environment, the reference, the difference of two generations.

use std::time::Duration;

use super::super::{GoLive, Http, LogLevel, OnError, Settings, Url, parse, reference, reload_notes};
use super::{faults, sound};

#[test]
fn an_empty_file_is_all_defaults() {
    assert_eq!(sound(""), Settings::default());
    let settings = sound("");
    assert_eq!(settings.listen[0].address.to_string(), "127.0.0.1:8800");
    assert_eq!(settings.limits.body, 8 << 20);
    assert_eq!(settings.go_live, GoLive::OnSave);
    assert_eq!(settings.default_upstream(), None);
}

#[test]
fn upstreams_are_read_with_their_endpoints_headers_and_timeouts() {
    let settings = sound(
        "[upstreams.cloud]
        http = \"2\"
        keep_alive = \"1500ms\"
        timeouts = { connect = \"250ms\", total = \"15m\" }
        headers = { Authorization = \"Bearer env:KEY\", x-mixed = \"a${env:KEY}b${file:key}\", x-plain = \"text\" }
        endpoints = [
          { url = \"https://API.example.com/v1/\", name = \"main\" },
          { url = \"http://[::1]:9000\", weight = 0, headers = { x-whole = \"file:key\" } },
        ]",
    );
    let cloud = &settings.upstreams["cloud"];
    assert_eq!((cloud.http, cloud.keep_alive), (Http::Two, Duration::from_millis(1500)));
    assert_eq!(cloud.timeouts.total, Some(Duration::from_mins(15)));
    let headers: Vec<_> = cloud.headers.iter().map(|(name, value)| (name, value.reveal())).collect();
    let expected = [("authorization", "Bearer sk-hidden"), ("x-mixed", "ask-hiddenbfk-hidden"), ("x-plain", "text")];
    assert_eq!(headers, expected);
    let [main, reserve] = &cloud.addresses()[..] else {
        panic!("two endpoints");
    };
    assert_eq!((main.label().as_str(), main.url.port, main.url.prefix.as_str()), ("main", 443, "/v1"));
    assert_eq!(main.url.host, "api.example.com");
    assert_eq!((reserve.label().as_str(), reserve.weight), ("[::1]:9000", 0));
    assert_eq!(reserve.headers.iter().next().map(|(_, value)| value.reveal()), Some("fk-hidden"));
    assert_eq!(settings.default_upstream(), Some("cloud"));
}

#[test]
fn policies_keep_the_order_of_the_file_and_their_parameters() {
    let settings = sound(
        "[[policies]]\nfile = \"z.lua\"\n[[policies]]\nfile = \"lib/a.luau\"\nname = \"other\"\non_error = \"skip\"\n\
         params = { n = 1, f = 1.5, list = [true, \"x\"], deep = { d = 2020-01-02 } }\n",
    );
    let labels: Vec<_> = settings.policies.iter().map(|policy| policy.label()).collect();
    assert_eq!(labels, ["z", "other"]);
    let policy = &settings.policies[1];
    assert_eq!((policy.place.0, policy.on_error), (3, Some(OnError::Skip)));
    let params = serde_json::json!({"n": 1, "f": 1.5, "list": [true, "x"], "deep": {"d": "2020-01-02"}});
    assert_eq!(serde_json::Value::Object(policy.params.clone()), params);
}

#[test]
fn the_request_id_is_a_switch_or_a_name() {
    let name = |text: &str| sound(&format!("[forwarding]\nrequest_id = {text}\n")).forwarding.request_id.0;
    assert_eq!(name("true").as_deref(), Some("x-request-id"));
    assert_eq!(name("false"), None);
    assert_eq!(name("\"X-Trace\"").as_deref(), Some("x-trace"));
}

#[test]
fn a_trusted_peer_may_be_written_without_a_mask() {
    let settings = sound("[forwarding]\ntrusted = [\"10.1.2.3\", \"fd00::/8\"]\n");
    let shown: Vec<_> = settings.forwarding.trusted.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.1.2.3/32", "fd00::/8"]);
}

#[test]
fn a_name_server_may_be_written_without_its_port() {
    let settings = sound("[dns]\nservers = [\"10.0.0.2\", \"127.0.0.1:5353\", \"[fd00::2]:54\", \"fd00::1\"]\n");
    let shown: Vec<_> = settings.dns.servers.iter().map(|server| server.0.to_string()).collect();
    assert_eq!(shown, ["10.0.0.2:53", "127.0.0.1:5353", "[fd00::2]:54", "[fd00::1]:53"]);
    let found = faults("[dns]\nservers = [\"dns.google\"]\n");
    assert!(found[0].contains("`dns.google` is neither an IP address nor one with a port"), "{found:?}");
}

#[test]
fn secrets_are_shown_nowhere() {
    let settings = sound(
        "[secrets]\na = \"env:KEY\"\n[upstreams.u]\nurl = \"http://h\"\n\
         headers = { a = \"Bearer env:KEY\", b = \"sk-hidden-too\", c = \"sk-hidden${env:KEY}\" }\n",
    );
    let status = serde_json::to_string(&settings).unwrap();
    for text in [status.clone(), format!("{settings:?}"), settings.secrets["a"].to_string()] {
        assert!(!text.contains("hidden"), "{text}");
    }
    assert!(status.contains("Bearer ${env:KEY}") && status.contains("\"b\":\"***\""), "{status}");
}

#[test]
fn a_secret_in_a_file_is_read_beside_the_settings_without_its_line_end() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("key"), "fk-hidden\r\n").unwrap();
    let file = folder.path().join("tidegate.toml").display().to_string();
    let settings = parse("[secrets]\na = \"file:key\"\n", &file).unwrap();
    assert_eq!(settings.secrets["a"].reveal(), "fk-hidden");
    std::fs::write(folder.path().join("key"), "\n").unwrap();
    let faults = parse("[secrets]\na = \"file:key\"\n", &file).unwrap_err();
    assert!(faults[0].message.contains("file:key is empty"), "{faults:?}");
}

#[test]
fn an_allowed_url_covers_itself_and_what_lies_below() {
    let allowed: Url = "https://Example.com/v1".parse().unwrap();
    let covers = |uri: &str| allowed.covers(&uri.parse().unwrap());
    for uri in ["https://example.com/v1", "https://EXAMPLE.com:443/v1/models?x=1", "https://example.com/v1/a..b"] {
        assert!(covers(uri), "{uri}");
    }
    for uri in [
        "http://example.com/v1",
        "https://example.com:444/v1",
        "https://example.com.evil.net/v1",
        "https://example.com@evil.net/v1",
        "https://example.com/v10",
        "https://example.com/v1/../admin",
        "https://example.com/v1/%2E%2e/admin",
        "https://example.com/v1/x%2f..%5cadmin",
        "/v1",
    ] {
        assert!(!covers(uri), "{uri}");
    }
}

#[test]
fn status_shows_values_as_they_are_written() {
    let status = serde_json::to_value(sound("[limits]\nkeep_alive = \"90s\"\nbody = \"1536KiB\"\n")).unwrap();
    assert_eq!(status["limits"]["keep_alive"], "90s");
    assert_eq!(status["limits"]["body"], "1536KiB");
    assert_eq!(status["limits"]["shutdown"], "30s");
    assert_eq!(status["admin"]["address"], "127.0.0.1:8801");
}

#[test]
fn the_environment_overrides_the_file() {
    let mut settings =
        sound("[[listen]]\naddress = \"127.0.0.1:1\"\nh2c = true\n[[listen]]\naddress = \"127.0.0.1:2\"\n");
    let env = |name: &str| match name {
        "TIDEGATE_LISTEN" => Some("127.0.0.1:7".to_owned()),
        "TIDEGATE_ADMIN" => Some("[::1]:8".to_owned()),
        "TIDEGATE_LOG" => Some("debug".to_owned()),
        _ => None,
    };
    settings.apply_env(env).unwrap();
    assert_eq!(settings.listen.len(), 1);
    assert_eq!(settings.listen[0].address.to_string(), "127.0.0.1:7");
    assert!(settings.listen[0].h2c);
    assert_eq!(settings.admin.address.to_string(), "[::1]:8");
    assert_eq!(settings.log.level, LogLevel::Debug);
}

#[test]
fn a_faulty_environment_is_told_whole_and_changes_nothing() {
    let mut settings = sound("");
    let told = settings.apply_env(|name| Some(format!("bad {name}"))).unwrap_err();
    assert_eq!(told.len(), 3);
    assert!(told[0].to_string().starts_with("environment: TIDEGATE_LISTEN: "));
    assert_eq!(settings, Settings::default());
    let public = |name: &str| (name == "TIDEGATE_ADMIN").then(|| "0.0.0.0:1".to_owned());
    assert!(settings.apply_env(public).unwrap_err()[0].message.contains("admin.public"));
}

#[test]
fn a_drop_in_sends_everything_to_one_upstream() {
    let (listen, admin) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    let settings = Settings::drop_in("http://127.0.0.1:9000/api", listen, admin).unwrap();
    assert_eq!(settings.default_upstream(), Some("upstream"));
    assert_eq!(settings.listen[0].address, listen);
    assert_eq!(settings.upstreams["upstream"].addresses()[0].url.to_string(), "http://127.0.0.1:9000/api");
    assert!(Settings::drop_in("nowhere", listen, admin).is_err());
    assert!(Settings::drop_in("http://h", listen, listen).is_err());
}

#[test]
fn a_reload_names_what_it_cannot_change() {
    let old = sound("workers = 2\n[limits]\nbody = \"1MiB\"\n");
    assert!(reload_notes(&old, &old.clone()).is_empty());
    let new = sound("workers = 3\n[[listen]]\naddress = \"127.0.0.1:1\"\n[admin]\naddress = \"127.0.0.1:2\"\n");
    let notes = reload_notes(&old, &new).join("\n");
    assert_eq!(notes.lines().count(), 3, "{notes}");
    for key in ["`workers` changed from 2 to 3", "`listen`", "`admin.address`"] {
        assert!(notes.contains(key), "{notes}");
    }
}

#[test]
fn the_reference_lists_each_key_with_its_default() {
    let text = reference();
    for line in [
        "## `[[listen]]`",
        "## `[listen.tls]`",
        "## `[upstreams.NAME.timeouts]`",
        "## `[[upstreams.NAME.endpoints]]`",
        "| `body` | size | `\"8MiB\"` | on reload |",
        "| `address` | IP:port | must be written | on restart |",
        "| `go_live` | \"on-save\" or \"reviewed\" | `\"on-save\"` | on reload |",
        "| `TIDEGATE_ADMIN` |",
    ] {
        assert!(text.contains(line), "`{line}` in\n{text}");
    }
    let status = serde_json::to_value(Settings::default()).unwrap();
    for (section, keys) in status.as_object().unwrap() {
        assert!(text.contains(&format!("| `{section}` |")), "{section}");
        for key in keys.as_object().into_iter().flatten() {
            assert!(text.contains(&format!("| `{}` |", key.0)), "{section}.{}", key.0);
        }
    }
}

#[test]
fn what_the_reference_shows_as_default_can_be_written() {
    let status = serde_json::to_value(Settings::default()).unwrap();
    for section in ["limits", "forwarding", "cache", "log", "admin"] {
        for (key, value) in status[section].as_object().unwrap() {
            if !value.is_null() {
                assert_eq!(faults(&format!("[{section}]\n{key} = {value}\n")), [""; 0]);
            }
        }
    }
}
