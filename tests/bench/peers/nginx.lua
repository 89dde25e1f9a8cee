-- The works of scripts/bench for nginx's LuaJIT.
local cjson = require "cjson.safe"

local rules = {
  { "^claude%-cli/", "claude-code" },
  { "^PyCharm/", "pycharm" },
  { "^OpenAI/Python ", "openai-python" },
  { "^OpenAI/JS ", "openai-node" },
  { "^curl/", "curl" },
}
local upstreams = { ["model-a"] = "a", ["model-b"] = "b" }
local gate = {}

function gate.identify()
  local agent = ngx.var.http_user_agent or ""
  for _, rule in ipairs(rules) do
    if string.find(agent, rule[1]) then
      ngx.ctx.client = rule[2]
      ngx.req.set_header("x-client", rule[2])
      return
    end
  end
end

function gate.answer()
  ngx.header["x-gate-client"] = ngx.ctx.client
end

function gate.route()
  ngx.req.read_body()
  local body = cjson.decode(ngx.req.get_body_data() or "")
  ngx.var.upstream = upstreams[body and body.model] or "a"
end

-- Events may come in pieces: what follows the last whole one waits for its rest.
function gate.events()
  local text = (ngx.ctx.rest or "") .. ngx.arg[1]
  local whole = ngx.arg[2] and text or string.match(text, "^.*\n\n") or ""
  ngx.ctx.rest = string.sub(text, #whole + 1)
  ngx.arg[1] = string.gsub(whole, "data: ({[^\n]*})\n\n", function(data)
    local event = cjson.decode(data)
    event.model = "gate"
    return "data: " .. cjson.encode(event) .. "\n\n"
  end)
end

return gate
