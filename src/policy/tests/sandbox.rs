//! What a policy can reach, and that nothing leaks from one exchange to another.

use std::collections::BTreeSet;

use super::support::{Gate, begin, hook, load, request, text};

/// Every global that a policy can reach, tables with their members.
const GLOBALS: &str = "assert bit32 bit32.arshift bit32.band bit32.bnot bit32.bor bit32.btest bit32.bxor bit32.byteswap \
    bit32.countlz bit32.countrz bit32.extract bit32.lrotate bit32.lshift bit32.replace bit32.rrotate bit32.rshift buffer \
    buffer.copy buffer.create buffer.fill buffer.fromstring buffer.len buffer.readbits buffer.readf32 buffer.readf64 \
    buffer.readi16 buffer.readi32 buffer.readi8 buffer.readstring buffer.readu16 buffer.readu32 buffer.readu8 \
    buffer.tostring buffer.writebits buffer.writef32 buffer.writef64 buffer.writei16 buffer.writei32 buffer.writei8 \
    buffer.writestring buffer.writeu16 buffer.writeu32 buffer.writeu8 clock clock.monotonic clock.now clock.parse_http_date \
    drop error getmetatable hash hash.blake3 http http.fetch ipairs json json.append json.array json.copy json.decode \
    json.digits json.encode json.insert json.is_array json.is_null json.keys json.null json.remove limit limit.take log log.debug \
    log.error log.info log.warn math next pairs param param.boolean param.integer param.list param.number param.secret \
    param.string param.table params parts pcall policy random rawequal rawget rawlen rawset regex regex.captures regex.find \
    regex.match regex.replace reject require respond secret select setmetatable store string string.byte string.char \
    string.find string.format string.gmatch string.gsub string.len string.lower string.match string.pack string.packsize \
    string.rep string.reverse string.split string.sub string.unpack string.upper table table.clear table.clone \
    table.concat table.create table.find table.foreach table.foreachi table.freeze table.getn table.insert \
    table.isfrozen table.maxn table.move table.pack table.remove table.sort table.unpack tonumber tostring type typeof \
    unpack upstream upstream.call upstream.healthy upstream.pick utf8 utf8.char utf8.charpattern utf8.codepoint \
    utf8.codes utf8.len utf8.offset vector xpcall";

#[test]
fn only_known_globals_can_be_reached() {
    let set = load(&Gate::new(), &[("p.lua", "return policy { api = 1 }")]);
    let vm = set.0.vm(0).expect("a VM");
    let mut found = BTreeSet::new();
    let mut globals = vec![vm.lua.globals()];
    if let Some(meta) = vm.lua.globals().metatable() {
        globals.push(meta.raw_get("__index").expect("the real globals"));
    }
    for table in globals {
        for pair in table.pairs::<String, mlua::Value>() {
            let (name, value) = pair.expect("a pair");
            let members = value.as_table().filter(|_| name != "math" && name != "vector");
            for member in members.into_iter().flat_map(|table| table.pairs::<String, mlua::Value>()) {
                found.insert(format!("{name}.{}", member.expect("a pair").0));
            }
            found.insert(name);
        }
    }
    let known: BTreeSet<String> = GLOBALS.split_whitespace().map(str::to_owned).collect();
    assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "new globals");
    assert_eq!(known.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "globals that are gone");
}

#[tokio::test]
async fn ways_out_are_closed() {
    for body in [
        "return loadstring('return 1')",
        "return getfenv(1)",
        "return debug.info(1, 's')",
        "return os.getenv('HOME')",
        "return coroutine.wrap(function() end)",
        "return newproxy(true)",
        "return collectgarbage('count')",
        "getmetatable('').__index.upper = nil",
        "string.upper = nil",
        "math.floor = nil",
        "json.encode = nil",
        "setmetatable(string, {})",
        "rawset(string, 'upper', 1)",
    ] {
        let result = text(body).await;
        assert!(result.starts_with("500"), "`{body}` gave {result}");
    }
}

#[tokio::test]
async fn no_metatable_of_the_host_can_be_had() {
    for object in ["req", "req.headers", "ctx", "store", "drop", "json.decode('{}')"] {
        let result = text(&format!("return respond {{ text = type(getmetatable({object})) }}")).await;
        assert_ne!(result, "table", "{object}");
    }
}

#[tokio::test]
async fn a_global_assignment_is_an_error_with_its_line() {
    let result = text("local a = 1\n total = 2").await;
    assert!(result.contains("p.lua:2") && result.contains("readonly"), "{result}");
}

#[tokio::test]
async fn a_global_function_at_the_top_level_is_a_fault() {
    let faults = super::support::faults(&super::support::sources(&[(
        "p.lua",
        "\nfunction helper() end\nreturn policy { api = 1 }",
    )]));
    assert!(faults[0].starts_with("p.lua:2: "), "{faults:?}");
}

#[tokio::test]
async fn values_of_one_exchange_never_show_in_another() {
    let gate = Gate::new();
    let body = "local mine = req.headers:get('x-user')
        assert(ctx.vars.user == nil and ctx.shared.user == nil)
        ctx.vars.user, ctx.shared.user = mine, mine
        upstream.call('mlx', {})
        assert(ctx.vars.user == mine and ctx.shared.user == mine)
        return respond { text = ctx.vars.user }";
    let set = load(&gate, &[("p.lua", &hook("on_request", body))]);
    let runs: Vec<_> = (0..200)
        .map(|user| {
            let mut run = begin(&set, &request(&[("x-user", &format!("u{user}"))], ""));
            tokio::spawn(async move { run.on_request().await })
        })
        .collect();
    for (user, run) in runs.into_iter().enumerate() {
        let answer = run.await.expect("no panic").expect("no error").expect("an answer");
        assert_eq!(answer.body, format!("u{user}"));
    }
}

#[tokio::test]
async fn a_library_is_frozen_to_its_depth() {
    let body = "local lib = require('./lib/t') return policy { api = 1, on_request = function() lib.inner.x = 2 end }";
    let set = load(&Gate::new(), &[("p.lua", body), ("lib/t.lua", "return { inner = { x = 1 } }")]);
    let error = begin(&set, &request(&[], "")).on_request().await.expect_err("frozen");
    assert!(error.to_string().contains("readonly"), "{error}");
}

#[tokio::test]
async fn require_in_a_hook_is_refused() {
    let result = text("return require('./lib/t')").await;
    assert!(result.contains("E_REQUIRE_LATE") && result.contains("p.lua:1"), "{result}");
}

#[tokio::test]
async fn endless_stack_gives_a_clean_error() {
    let result = text("local function f() return 1 + f() end return f()").await;
    assert!(result.starts_with("500") && result.contains("overflow"), "{result}");
}
