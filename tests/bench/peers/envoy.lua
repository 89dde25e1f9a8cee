-- The works of scripts/bench for Envoy's LuaJIT, which has no JSON: the model is found by a pattern.
local rules = {
  { "^claude%-cli/", "claude-code" },
  { "^PyCharm/", "pycharm" },
  { "^OpenAI/Python ", "openai-python" },
  { "^OpenAI/JS ", "openai-node" },
  { "^curl/", "curl" },
}
local upstreams = { ["model-a"] = "a", ["model-b"] = "b" }
local gate = {}

local function identify(handle)
  local agent = handle:headers():get("user-agent") or ""
  for _, rule in ipairs(rules) do
    if string.find(agent, rule[1]) then
      handle:headers():replace("x-client", rule[2])
      handle:streamInfo():dynamicMetadata():set("gate", "client", rule[2])
      return
    end
  end
end

local function answer(handle)
  local client = (handle:streamInfo():dynamicMetadata():get("gate") or {}).client
  if client then handle:headers():replace("x-gate-client", client) end
end

local function route(handle)
  local body = handle:body()
  local model = string.match(body:getBytes(0, body:length()), '"model"%s*:%s*"([^"]*)"')
  handle:headers():replace("x-upstream", upstreams[model] or "a")
end

function gate.identify()
  envoy_on_request, envoy_on_response = identify, answer
end

function gate.route()
  envoy_on_response = answer
  envoy_on_request = function(handle)
    identify(handle)
    route(handle)
  end
end

function gate.events()
  envoy_on_response = function(handle)
    for chunk in handle:bodyChunks() do
      local text = string.gsub(chunk:getBytes(0, chunk:length()), '"model":"[^"]*"', '"model":"gate"')
      chunk:setBytes(text)
    end
  end
end

return gate
