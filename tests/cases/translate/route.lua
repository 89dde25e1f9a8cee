--!strict
-- Sends a call to the upstream that its model's name ends with: `model@upstream`; calls without a model to `openai`.

return policy {
  api = 1,

  route = function(req, ctx)
    local asked = req.method == "POST" and req:json()
    local name = asked and asked.model or string.match(req.path, "/models/([^:]+):")
    local model, upstream = string.match(name or "", "^(.+)@(.+)$")
    return { upstream = upstream or "openai", model = model }
  end,
}
