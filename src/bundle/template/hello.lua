--!strict
-- Answers GET /hello here and marks every other response. Save a change: it serves at once.

local p = params { greeting = param.string("Hello") }

return policy {
  api = 1,

  on_request = function(req, ctx)
    if req.method == "GET" and req.path == "/hello" then
      return respond { status = 200, json = { message = p.greeting, client = ctx.client_ip } }
    end
    return nil -- no opinion: the request goes on to its upstream
  end,

  on_response = function(res, ctx)
    res.headers:set("x-greeting", p.greeting)
  end,
}
