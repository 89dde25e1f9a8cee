--!strict
-- Sends a request to the upstream and endpoint that its headers name, and keeps the answers that a header asks for.

return policy {
  api = 1,

  route = function(req)
    local upstream = req.headers:get("x-upstream")
    return if upstream then { upstream = upstream, endpoint = req.headers:get("x-endpoint") } else nil
  end,

  cache = function(req)
    return if req.headers:get("x-keep") then { key = { input = req:json().input }, ttl = 86400 } else nil
  end,
}
