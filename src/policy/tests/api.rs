//! What the objects and functions of the API do, as a policy sees it.

use super::support::{Gate, begin, body_of, hook, load, request, response, text, text_with};
use crate::policy::Services;

const BODY: &str = r#"{ "model": "m",  "max_tokens": 9223372036854775807, "t": 1.0, "tools": [], "meta": {}, "stop": null, "messages": [{"role":"user","content":"hé"}] }"#;

async fn edit(body: &str) -> String {
    let set = load(&Gate::new(), &[("p.lua", &hook("on_request", body))]);
    let request = request(&[], BODY);
    begin(&set, &request).on_request().await.unwrap_or_else(|error| panic!("{body}: {error}"));
    body_of(&request)
}

#[tokio::test]
async fn reading_and_setting_the_same_leaves_every_byte() {
    assert_eq!(edit("local b = req:json() for k, v in b do local _ = k end req:set_json(b)").await, BODY);
    assert_eq!(edit("local b = req:json() b.model = 'm' b.messages[1].role = 'user'").await, BODY);
}

#[tokio::test]
async fn an_edit_changes_only_its_own_bytes() {
    assert_eq!(edit("req:json().model = 'q'").await, BODY.replace("\"m\"", "\"q\""));
    assert_eq!(edit("req:json().messages[1].content = 'x'").await, BODY.replace("hé", "x"));
    assert_eq!(edit("req:json().stop = json.array {}").await, BODY.replace("null", "[]"));
    assert_eq!(
        edit("req:json().tools[1] = { a = {}, b = json.null, c = 100 }").await,
        BODY.replace("[]", r#"[{"a":{},"b":null,"c":100}]"#)
    );
    assert_eq!(edit("req:json().t = nil").await, BODY.replace(r#" "t": 1.0,"#, ""));
}

#[tokio::test]
async fn views_are_assigned_byte_for_byte() {
    let out = edit("local b = req:json() b.copy = b.max_tokens and b.messages").await;
    assert!(out.contains(r#""copy": [{"role":"user","content":"hé"}]"#), "{out}");
    let out = edit("req:set_json({ all = req:json().messages, n = 1 })").await;
    assert_eq!(out, r#"{"all":[{"role":"user","content":"hé"}],"n":1}"#);
}

#[tokio::test]
async fn views_read_as_lua_expects() {
    let body = "local b = req:json()
        assert(b.stop == nil and b.nothing == nil and #b.messages == 1 and #b.tools == 0 and b.messages[2] == nil)
        assert(json.is_null(b, 'stop') and not json.is_null(b, 'nothing') and not json.is_null(b, 'model'))
        assert(json.is_array(b.tools) and not json.is_array(b.meta) and json.is_array({1}) and json.is_array(json.array()))
        local keys = json.keys(b) assert(keys[1] == 'model' and #keys == 7)
        local n = 0 for i, message in b.messages do n += i assert(message.role == 'user') end assert(n == 1)
        json.append(b.messages, { role = 'a' }) json.insert(b.messages, 1, { role = 'b' })
        assert(b.messages[1].role == 'b' and b.messages[3].role == 'a') assert(json.remove(b.messages, 1) and #b.messages == 2)
        local t = json.copy(b) assert(type(t) == 'table' and t.stop == json.null and t.messages[1].content == 'hé')
        assert(json.encode(t.tools) == '[]' and json.encode({}) == '{}')
        local d = json.decode('{\"a\":[1,2]}') assert(d.a[2] == 2 and tostring(d.a) == '[1,2]')
        local bad, why = json.decode('{') assert(bad == nil and why.code == 'bad_json')
        return respond { text = 'ok' }";
    assert_eq!(text_with(&Gate::new(), body, &request(&[], BODY)).await, "ok");
}

#[tokio::test]
async fn a_view_of_a_replaced_body_is_refused() {
    let result =
        text_with(&Gate::new(), "local b = req:json() req:set_json({}) return b.model", &request(&[], BODY)).await;
    assert!(result.contains("the body was replaced"), "{result}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_nil_and_a_broken_one_is_the_clients_mistake() {
    let result = text_with(
        &Gate::new(),
        "local b, why = req:json() return respond { text = tostring(b) .. why }",
        &request(&[], "<x>"),
    )
    .await;
    assert!(result.starts_with("nil") && result.contains("not JSON"), "{result}");
    let result =
        text_with(&Gate::new(), "return respond { text = req:json().model }", &request(&[], r#"{"model":"m""#)).await;
    assert!(result.starts_with("400 the request body is not valid JSON"), "{result}");
    assert_eq!(
        text("local b, why = req:json() return respond { text = tostring(b) .. why }").await,
        "nilthe body is empty"
    );
}

#[tokio::test]
async fn a_hook_of_a_string_that_is_not_utf8_is_refused() {
    let result = text("req:set_json({ a = string.char(255) })").await;
    assert!(result.starts_with("500"), "{result}");
}

#[tokio::test]
async fn the_request_reads_and_edits() {
    let body = "assert(req.method == 'POST' and req.path == '/v1/chat/completions' and req.query == 'a=1' and req.version == 'HTTP/1.1')
        assert(req.client_ip == '127.0.0.1' and req.dialect == 'openai.chat' and req.api == req.dialect and req.tls == false)
        req.method = 'PUT' req.path = '/v2' req.query = nil
        assert(req.target == '/v2')
        req.query = 'b=2' assert(req.target == '/v2?b=2')
        req:set_text('hello') assert(req:text() == 'hello' and req.headers:get('content-type'):find('text/plain'))
        req:set_json({ a = 1 }) assert(req:text() == '{\"a\":1}')
        return respond { text = 'ok' }";
    assert_eq!(text(body).await, "ok");
    for wrong in [
        "req.path = 'x'",
        "req.path = '/a b'",
        "req.path = '/a?b'",
        "req.method = 'A B'",
        "req.dialect = 'x'",
        "req.colour = 1",
    ] {
        assert!(text(wrong).await.starts_with("500"), "{wrong}");
    }
}

#[tokio::test]
async fn headers_read_iterate_over_a_copy_and_edit() {
    let body = "local h = req.headers
        assert(h:get('X-A') == '1' and h:get('no') == nil and h:has('x-b') and #h:get_all('x-a') == 2)
        local n = 0 for name, value in h do n += 1 h:delete(name) h:set('y-' .. name, value) end
        assert(n == 3 and not h:has('x-a') and h:get('y-x-b') == '3')
        h:append('z', 'a') h:append('z', 'b') assert(#h:get_all('z') == 2) h:set('z', 5) assert(h:get('z') == '5')
        return respond { text = 'ok' }";
    assert_eq!(text_with(&Gate::new(), body, &request(&[("x-a", "1"), ("x-a", "2"), ("x-b", "3")], "")).await, "ok");
}

#[tokio::test]
async fn headers_cannot_break_a_message() {
    for (call, why) in [
        ("req.headers:set('a', 'b\\r\\nc: d')", "CR, LF"),
        ("req.headers:set('a', 'b\\0')", "CR, LF"),
        ("req.headers:set('a b', 'c')", "not a valid header name"),
        ("req.headers:set('content-length', '5')", "the gate frames messages itself"),
        ("req.headers:append('Transfer-Encoding', 'chunked')", "the gate frames messages itself"),
        ("req.headers:delete('connection')", "the gate frames messages itself"),
        ("req.headers:set('host', 'x')", "on_attempt only"),
        ("return respond { headers = { ['content-length'] = '5' } }", "the gate frames messages itself"),
        ("return respond { headers = { a = 'b\\nc' } }", "not a valid header"),
    ] {
        let result = text(call).await;
        assert!(result.starts_with("500") && result.contains(why), "{call}: {result}");
    }
}

#[tokio::test]
async fn the_response_reads_and_edits() {
    let body =
        "assert(req.status == 200 and not req.streaming and req.served_by == 'upstream' and req.upstream == 'mlx')
        req.status = 201 req.headers:set('x-a', 'b') req:json().a = 2";
    let set = load(&Gate::new(), &[("p.lua", &hook("on_response", body))]);
    let message = response(200, r#"{ "a": 1 }"#);
    begin(&set, &request(&[], "")).on_response(&message).await.expect("no error");
    let mut message = message.lock();
    assert_eq!(message.head.status.as_u16(), 201);
    assert_eq!(crate::message::HasBody::body_mut(&mut *message).bytes().expect("a body"), r#"{ "a": 2 }"#);
}

#[tokio::test]
async fn a_stream_is_not_read_as_a_whole() {
    let set = load(&Gate::new(), &[("p.lua", &hook("on_response", "return req:json()"))]);
    let message = response(200, "");
    message.lock().streaming = true;
    let error = begin(&set, &request(&[], "")).on_response(&message).await.expect_err("a stream");
    assert!(error.to_string().contains("edit its events in on_event"), "{error}");
}

#[tokio::test]
async fn the_store_keeps_counts_and_compares() {
    let gate = Gate::new();
    let body = "assert(store:get('a') == nil) assert(store:set('a', { x = { 1, 2 } }, 60)) assert(store:get('a').x[2] == 2)
        assert(store:add('b', 1) and not store:add('b', 2)) assert(store:incr('n') == 1 and store:incr('n', 2.5, 60) == 3.5)
        assert(store:cas('b', 1, 5) and not store:cas('b', 1, 6) and store:get('b') == 5)
        assert(store:cas('c', nil, 'new') and store:get('c') == 'new') assert(store:set('c', nil) and store:get('c') == nil)
        assert(store:delete('b') and not store:delete('b'))
        local refused, why = store:incr('a') assert(refused == nil and why == 'not_a_number')
        store.shared('team'):set('k', 'v') assert(store.shared('team'):get('k') == 'v' and store:get('k') == nil)
        return respond { text = 'ok' }";
    assert_eq!(text_with(&gate, body, &request(&[], "")).await, "ok");
    assert_eq!(gate.store().get("shared:team", "k"), Some("v".into()));
}

#[tokio::test]
async fn limits_upstreams_hashes_patterns_and_dates_work() {
    let body = "local l = limit.take('u', { rate = 1, per = 60, burst = 2 }) assert(l.ok and l.remaining == 1)
        limit.take('u', { rate = 1, per = 60, burst = 2 }) local m = limit.take('u', { rate = 1, per = 60, burst = 2 })
        assert(not m.ok and m.retry_after > 0)
        assert(upstream.pick { 'ill', 'mlx' } == 'mlx' and upstream.healthy('mlx') and not upstream.healthy('ill'))
        assert(#hash.blake3('x') == 64 and hash.blake3('x') ~= hash.blake3('y'))
        assert(regex.match('claude-cli/1.2', '^claude-cli/') and not regex.match('x', '^y'))
        local c = regex.captures('v1.25', 'v(?P<major>\\\\d+)\\\\.(\\\\d+)') assert(c[0] == 'v1.25' and c.major == '1' and c[2] == '25')
        local from, to = regex.find('abc', 'bc') assert(from == 2 and to == 3)
        assert(regex.replace('a1b2', '[0-9]', '#') == 'a#b#')
        assert(clock.parse_http_date('Sun, 06 Nov 1994 08:49:37 GMT') == 784111777 and clock.parse_http_date('x') == nil)
        assert(clock.now() > 1e9 and clock.monotonic() >= 0 and ctx.now > 1e9 and ctx:remaining() == math.huge)
        assert(ctx.id == 'req-1' and ctx.generation == 'abc123' and ctx.dialect == 'openai.chat' and ctx.user == nil)
        return respond { text = 'ok' }";
    assert_eq!(text(body).await, "ok");
    assert!(text("return regex.match('x', '(')").await.contains("regex"));
    assert!(text("limit.take('x', { rat = 1 })").await.contains("did you mean `rate`?"));
}

#[tokio::test]
async fn random_numbers_repeat_with_the_seed() {
    let body = "local a = { random(), math.random(), math.random(6), math.random(5, 9) }
        assert(a[1] >= 0 and a[1] < 1 and a[3] >= 1 and a[3] <= 6 and a[4] >= 5 and a[4] <= 9 and a[3] % 1 == 0)
        return respond { json = a }";
    assert_eq!(text(body).await, text(body).await);
}

#[tokio::test]
async fn secrets_never_become_text() {
    let gate = Gate::new();
    let body = "local k = secret('key')
        assert(tostring(k) == '***' and tostring(k:prefixed('Bearer ')) == '***')
        assert(not pcall(function() return 'x' .. k end) and not pcall(json.encode, { k = k }) and not pcall(store.set, store, 'k', k))
        log.info(tostring(k), { key = k })
        req.headers:set('authorization', k:prefixed('Bearer '))
        return respond { text = tostring(k) }";
    let source = hook("on_request", body);
    let set = load(&gate, &[("p.lua", &source)]);
    let request = request(&[], "");
    let answer = begin(&set, &request).on_request().await.expect("no error").expect("an answer");
    assert_eq!(answer.body, "***");
    assert_eq!(format!("{:?}", gate.logs.lock()).matches("sk-hidden").count(), 0);
    let message = request.lock();
    let value = message.head.headers.get("authorization").expect("the header");
    assert_eq!((value.as_bytes(), value.is_sensitive()), (&b"Bearer sk-hidden"[..], true));
}

#[tokio::test]
async fn log_lines_carry_who_said_them() {
    let gate = Gate::new();
    text_with(&gate, "log.warn('slow', { user = 'ada', n = 2, list = { 1 } })", &request(&[], "")).await;
    let logs = gate.logs.lock();
    assert_eq!((logs[0].level.as_str(), logs[0].policy.as_str(), logs[0].message.as_str()), ("warn", "p", "slow"));
    assert_eq!(serde_json::to_string(&logs[0].fields).expect("json"), r#"{"list":[1],"n":2,"user":"ada"}"#);
}
