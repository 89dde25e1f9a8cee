//! The types for editors name everything that is registered, and nothing else that a global could be taken for.

use super::support::{Gate, load};
use crate::policy::{Hook, TYPES, api};

fn declares(name: &str) -> bool {
    TYPES.match_indices(name).any(|(at, _)| {
        let before = TYPES[..at].chars().next_back();
        let after = TYPES[at + name.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !word(before) && !word(after)
    })
}

#[test]
fn every_hook_is_typed() {
    for hook in Hook::ALL {
        assert!(declares(hook.name()), "{}", hook.name());
    }
}

#[test]
fn every_field_and_method_is_typed() {
    let all = [
        &api::request::FIELDS[..],
        &api::response::FIELDS[..],
        &api::event::FIELDS[..],
        &api::event::TOOL_FIELDS[..],
        &api::ctx::FIELDS[..],
        &api::headers::METHODS[..],
        &api::state::METHODS[..],
        &["prefixed"],
    ];
    for name in all.into_iter().flatten() {
        assert!(declares(name), "{name}");
    }
}

#[test]
fn every_function_of_the_host_is_typed() {
    let set = load(&Gate::new(), &[("p.lua", "return policy { api = 1 }")]);
    let vm = set.0.vm(0).expect("a VM");
    let globals =
        vm.lua.globals().metatable().and_then(|meta| meta.raw_get::<mlua::Table>("__index").ok()).expect("globals");
    for name in ["json", "limit", "upstream", "http", "regex", "log", "hash", "clock", "param"] {
        assert!(declares(name), "{name}");
        let table: mlua::Table = globals.raw_get(name).expect("a table");
        for pair in table.pairs::<String, mlua::Value>() {
            let member = pair.expect("a pair").0;
            assert!(declares(&member), "{name}.{member}");
        }
    }
    for name in ["policy", "params", "respond", "reject", "drop", "secret", "store", "random", "require"] {
        assert!(declares(name), "{name}");
    }
}

#[test]
fn the_unknown_field_lists_name_what_is_registered() {
    let set = load(&Gate::new(), &[("p.lua", "return policy { api = 1 }")]);
    let vm = set.0.vm(0).expect("a VM");
    let request = super::support::request(&[], "");
    let run = super::support::begin(&set, &request);
    drop(run);
    let response = super::support::response(200, "");
    let object = vm.lua.create_any_userdata(api::response::Res::new(&response)).expect("an object");
    for name in api::response::FIELDS {
        let value: mlua::Result<mlua::Value> = mlua::ObjectLike::get(&object, name);
        assert!(value.is_ok(), "res.{name}");
    }
}
