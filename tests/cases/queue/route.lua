--!strict
-- Sends a request to the upstream that its model names, in the class that its header names.

return policy {
  api = 1,

  route = function(req)
    local class = req.headers:get("x-class")
    return { upstream = req:json().model, priority = class :: any }
  end,

  failover = function(attempt)
    return { retry = attempt.kind == "overloaded" and attempt.untried > 0 }
  end,
}
