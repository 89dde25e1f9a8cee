--!strict
-- Decides by everything that a policy can ask for: state, limits, chance, time, other services.

local p = params {
  drop_every = param.integer(7, { min = 2, doc = "One of so many events is left out." }),
  words = param.list({}, { doc = "What is said at the end of streams." }),
}

local function pick(list: { any }): any
  return list[1 + math.floor(math.random() * #list)]
end

return policy {
  api = 1,

  identify = function(req, ctx)
    local user = req.headers:get("x-user")
    if not user then
      return nil
    end
    local seen = store:incr("seen " .. user, 1)
    return { user = user, session = tostring(math.floor(seen / 10)), evidence = "header x-user" }
  end,

  on_request = function(req, ctx)
    local taken = limit.take(ctx.user or "nobody", { rate = 300, per = 1, burst = 40 })
    if not taken.ok then
      return respond { status = 429, json = { error = "slow down", after = taken.retry_after } }
    end
    req.headers:set("x-seen", tostring(store:get("last") or "nobody"))
    req.headers:set("x-lot", string.format("%.6f", math.random()))
    req.headers:set("x-at", string.format("%.6f", clock.now()))
    store:set("last", ctx.user or "nobody", 0.05)
    local body = req:json()
    if body and math.random() < 0.3 then
      body.user = ctx.user
      body.seed = math.floor(math.random() * 1000)
    end
    if req.headers:get("x-ask") then
      local res = upstream.call("chat", { path = "/v1/models" })
      ctx.vars.asked = res and res.status or 0
      req.headers:set("x-asked", tostring(ctx.vars.asked))
    end
    local fetch = req.headers:get("x-fetch")
    if fetch then
      local res, why = http.fetch(fetch .. "/bytes/" .. math.random(1, 40))
      req.headers:set("x-fetched", if res then #res:text() .. " " .. res.status else why.code)
    end
    if string.sub(req.path, 1, 7) == "/v1beta" and regex.match(req.path, ":\\w+$") then
      local found = regex.captures(req.path, "models/(?P<model>[^:/]+)")
      ctx.shared.model = if found then found.model else "none"
    end
    if math.random() < 0.1 then
      ctx:after_response(function()
        store:incr("after", 1)
        upstream.call("chat", { path = "/v1/models" })
      end)
    end
  end,

  route = function(req, ctx)
    local lot = math.random()
    if lot < 0.1 then
      return respond { status = 418, text = "by lot " .. string.format("%.4f", lot) }
    end
    local cut = if math.random() < 0.7 then pick { "complete", "close" } else nil
    local hedge = if math.random() < 0.3 then { after = math.random() * 0.01 } else nil
    local chat = { upstream = "chat", continue_cut = cut, hedge = hedge, ping = math.random() < 0.9 }
    if not upstream.healthy("claude") or lot < 0.7 then
      return { chat, { upstream = "claude", model = "claude-sonnet-4" } }
    end
    local priority = pick { "low", "normal", "high" }
    return {
      { upstream = "claude", model = pick { "claude-sonnet-4", "claude-opus-4" }, continue_cut = cut, priority = priority },
      chat,
    }
  end,

  cache = function(req, ctx)
    if req.headers:get("x-keep") then
      return { key = { keep = req.headers:get("x-keep") }, ttl = 60, scope = pick { "user", "shared" } }
    end
    return nil
  end,

  on_attempt = function(req, attempt, ctx)
    req.headers:set("x-attempt", attempt.number .. " " .. attempt.endpoint)
    if attempt.number > 1 and math.random() < 0.6 then
      req.headers:delete("x-mock-fault")
    end
    if store:add("first " .. attempt.endpoint, true, 0.02) then
      req.headers:set("x-first", "yes")
    end
  end,

  failover = function(attempt, ctx)
    return { retry = attempt.number < 3 and attempt.kind ~= "timeout", after = math.random() * 0.004 }
  end,

  on_response = function(res, ctx)
    res.headers:set("x-by", res.served_by .. " " .. tostring(store:get("last")))
    res.headers:set("x-left", if ctx:remaining() > 19.5 then "long" else "short")
  end,

  on_event = function(ev, ctx)
    ctx.vars.count = (ctx.vars.count or 0) + 1
    if ev.text and math.random() < 0.2 then
      ev.text = ev.text .. "~" .. ctx.vars.count
    end
    if ctx.vars.count % p.drop_every == 0 and ev.kind == "text" and math.random() < 0.5 then
      return drop
    end
    if ctx.vars.count == 3 and store:get("last") then
      return { { text = " [" .. tostring(store:get("last")) .. "] " }, ev }
    end
    return nil
  end,

  on_stream_end = function(finish, ctx)
    if #p.words > 0 and math.random() < 0.1 then
      return { { event = "note", data = finish.reason .. " " .. pick(p.words) .. " " .. tostring(ctx.shared.model) } }
    end
    return nil
  end,

  on_error = function(err, ctx)
    return respond { status = err.status, json = { kind = err.kind, lot = math.random() } }
  end,

  on_log = function(_exchange, ctx)
    store:incr("logged")
  end,
}
