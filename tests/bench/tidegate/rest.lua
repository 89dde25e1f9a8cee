-- The hooks that the other policies of scripts/bench leave out, so that every hook runs.
return policy {
  api = 1,

  cache = function()
    return nil
  end,

  on_attempt = function(req, attempt)
    req.headers:set("x-upstream", attempt.upstream)
  end,

  failover = function()
    return nil
  end,

  on_stream_end = function() end,

  on_error = function()
    return nil
  end,

  on_log = function() end,
}
