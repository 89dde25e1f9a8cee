-- The works of scripts/bench for HAProxy's Lua 5.3.
local cjson = require "cjson.safe"

local rules = {
  { "^claude%-cli/", "claude-code" },
  { "^PyCharm/", "pycharm" },
  { "^OpenAI/Python ", "openai-python" },
  { "^OpenAI/JS ", "openai-node" },
  { "^curl/", "curl" },
}
local upstreams = { ["model-a"] = "a", ["model-b"] = "b" }

core.register_action("identify", { "http-req" }, function(txn)
  local agent = txn.sf:req_fhdr("user-agent")
  for _, rule in ipairs(rules) do
    if string.find(agent, rule[1]) then
      txn:set_var("txn.client", rule[2])
      txn.http:req_set_header("x-client", rule[2])
      return
    end
  end
end)

core.register_action("route", { "http-req" }, function(txn)
  local body = cjson.decode(txn.sf:req_body())
  txn:set_var("txn.upstream", upstreams[body and body.model] or "a")
end)
