--!strict
-- Sends each call to the upstream that the client names in a header, so that every client can try every dialect.

return policy {
  api = 1,

  route = function(req)
    return { { upstream = req.headers:get("x-upstream") or "openai" } }
  end,
}
