-- Work (c) of scripts/bench: the upstream by the model in the body.
local upstreams = { ["model-a"] = "a", ["model-b"] = "b" }

return policy {
  api = 1,

  route = function(req)
    return { upstream = upstreams[req:json().model] or "a" }
  end,
}
