-- Work (b) of scripts/bench: five rules on User-Agent, a header for the upstream, a header for the client.
local rules = {
  { "^claude%-cli/", "claude-code" },
  { "^PyCharm/", "pycharm" },
  { "^OpenAI/Python ", "openai-python" },
  { "^OpenAI/JS ", "openai-node" },
  { "^curl/", "curl" },
}

return policy {
  api = 1,

  identify = function(req)
    local agent = req.headers:get("user-agent") or ""
    for _, rule in rules do
      if string.find(agent, rule[1]) then
        return { client = rule[2], evidence = "user-agent" }
      end
    end
    return nil
  end,

  on_request = function(req, ctx)
    req.headers:set("x-client", ctx.client)
  end,

  on_response = function(res, ctx)
    res.headers:set("x-gate-client", ctx.client)
  end,
}
