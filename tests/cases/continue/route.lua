--!strict
-- Sends a call to the upstreams that its model's name ends with, in their order: `model@one@two`. An answer that dies goes
-- on at the next; after `!`, not when a tool call was cut.

return policy {
  api = 1,

  route = function(req)
    local asked = req.method == "POST" and req:json()
    local name = asked and asked.model or string.match(req.path, "/models/([^:]+):") or ""
    local model, upstreams = string.match(name, "^([^@]+)@(.+)$")
    local rule: "complete" | "close" = if string.find(name, "!", 1, true) then "close" else "complete"
    local plan = {}
    for upstream in string.gmatch(upstreams or "openai", "[^@!]+") do
      table.insert(plan, { upstream = upstream, model = model, continue_cut = rule :: any })
    end
    return plan
  end,

  failover = function(attempt)
    if attempt.committed and attempt.said.text > 1000 then
      return { retry = false }
    end
    return { retry = attempt.untried > 0 }
  end,
}
