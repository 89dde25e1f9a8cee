--!strict
-- Sends requests where their header says, goes on after each failure, and decides about events when it is asked to.

return policy {
  api = 1,

  route = function(req)
    local plan: any = { upstream = req.headers:get("x-to") }
    if req.headers:get("x-plan") == "text" then
      plan.hold = { ["until"] = "text", time = 10 }
    elseif req.headers:has("x-plan") then
      plan.timeouts = { first = 1.5, total = 5 }
      plan.hold = { ["until"] = "event" }
      plan.hedge = { after = 0.25, most = 1 }
    end
    plan.ping = not req.headers:has("x-quiet")
    return plan
  end,

  on_request = function(req, ctx)
    ctx.vars.asked = req.headers:get("x-commit")
    ctx.vars.shape = req.headers:get("x-shape")
  end,

  commit = function(ev, attempt, ctx)
    local asked = ctx.vars.asked
    if asked == "no refusals" and attempt.number == 1 and ev.kind == "text" and ev.text:find("cannot", 1, true) then
      return "fail"
    elseif asked == "at once" then
      return "go"
    elseif asked == "for ever" then
      return "wait"
    end
    return nil
  end,

  -- Shapes a head that the client may have already.
  on_response = function(res, ctx)
    if ctx.vars.shape then
      res.status = tonumber(ctx.vars.shape)
      res.headers:set("x-committed", tostring(res.committed))
      if not res.streaming then
        local body = res:json()
        body.model = "moon"
      end
    end
  end,

  failover = function(attempt)
    return { retry = attempt.untried > 0 }
  end,
}
