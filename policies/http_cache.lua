--!strict
-- Keeps answers as HTTP says (RFC 9111), shared by all clients; for everything that is not a call of an LLM.

local p = params {
  paths = param.list({ "/" }, { doc = "What the paths begin with whose answers may be kept." }),
  heuristic = param.boolean(true, { doc = "Whether an answer that does not say how long it is fresh may serve for a tenth of its age." }),
  surrogate = param.boolean(true, { doc = "Whether `CDN-Cache-Control` and `Surrogate-Control` are meant for this gate." }),
  tags = param.list({}, { doc = "Words to purge the answers by: `tidegate cache purge --tag`." }),
}

return policy {
  api = 1,

  cache = function(req, ctx)
    if ctx.dialect then
      return nil
    end
    for _, path in p.paths do
      if string.sub(req.path, 1, #path) == path then
        return { http = true, heuristic = p.heuristic, surrogate = p.surrogate, tags = p.tags }
      end
    end
    return nil
  end,
}
