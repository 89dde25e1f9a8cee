--!strict
-- Answers a repeated LLM call from memory, whole or as the stream it was: for the same user, until the answer is too old.

local bodies = require("./lib/body")

local p = params {
  ttl = param.integer(0, { min = 0, doc = "Seconds that an answer may serve; 0 stores nothing." }),
  revalidate = param.integer(0, { min = 0, doc = "Seconds that an answer may serve after its time while a new one is fetched." }),
  if_error = param.integer(0, { min = 0, doc = "Seconds that an answer may serve after its time when the upstreams fail." }),
  tags = param.list({}, { doc = "Words to purge the answers by: `tidegate cache purge --tag`." }),
  scope = param.string("user", { values = { "user", "shared" }, doc = "Who may be served an answer: `user` who asked first, or `shared` with everybody." }),
  ignore = param.list({ "user", "metadata", "cache" }, { doc = "Fields of the body that do not change the answer." }),
  headers = param.list({ "anthropic-version", "anthropic-beta", "openai-beta" }, { doc = "Request headers that change the answer." }),
}

local CALLS = {
  ["openai.chat"] = true,
  ["openai.completions"] = true,
  ["openai.responses"] = true,
  ["openai.embeddings"] = true,
  ["anthropic.messages"] = true,
  ["ollama.chat"] = true,
  ["ollama.generate"] = true,
  gemini = true,
}

-- Calls that change something at the upstream are made every time.
local STATEFUL = { "background", "conversation" }

-- Claude Code puts a line of accounting first into `system`; it differs from call to call.
local BILLING = "^x%-anthropic%-billing%-header:"

-- What the client says about storing: whether a stored answer may serve, and whether this one may be stored.
local function wishes(req: any, body: any): (boolean, boolean)
  local control = string.lower(req.headers:get("cache-control") or "")
  local fresh = string.find(control, "no-cache", 1, true) ~= nil
  local secret = string.find(control, "no-store", 1, true) ~= nil
  local asked = body.cache
  if type(asked) ~= "userdata" or json.is_array(asked) then
    return not fresh, not secret
  end
  local apart = asked["no-cache"] == true
  return not fresh and not apart, not secret and not apart and asked["no-store"] ~= true
end

-- `system` without the line of accounting.
local function system_of(system: any): any
  if type(system) ~= "userdata" or not json.is_array(system) or type(system[1]) ~= "userdata" then
    return system
  end
  local text = system[1].text
  if type(text) ~= "string" or not string.find(text, BILLING) then
    return system
  end
  local rest = json.array {}
  for index = 2, #system do
    rest[index - 1] = system[index]
  end
  return rest
end

-- Lua rounds whole numbers from here on, and two seeds would be one.
local function large(value: any): boolean
  return type(value) == "number" and math.abs(value) >= 2 ^ 53
end

-- Everything that makes the answer what it is, by readable names. The gate adds method, path, dialect and form.
local function key_of(req: any, body: any): any
  local key: { [string]: any } = {}
  for field, value in body do
    if not table.find(p.ignore, field) then
      key[field] = if field == "system" then system_of(value) elseif large(value) then json.digits(body, field) else value
    end
  end
  for _, header in p.headers do
    key["header " .. header] = req.headers:get(header)
  end
  return key
end

return policy {
  api = 1,

  cache = function(req, ctx)
    if p.ttl == 0 or not CALLS[ctx.dialect or ""] or req.method ~= "POST" then
      return nil
    end
    local body = bodies.object(req)
    if not body then
      return nil
    end
    for _, field in STATEFUL do
      if body[field] then
        return nil
      end
    end
    local read, write = wishes(req, body)
    ctx.vars.marked = body.cache ~= nil
    local stale = { while_revalidate = p.revalidate, if_error = p.if_error }
    return { key = key_of(req, body), ttl = p.ttl, scope = p.scope, read = read, write = write, tags = p.tags, stale = stale }
  end,

  -- The field `cache` is a word to the gate; upstreams refuse what they do not know.
  on_attempt = function(req, _attempt, ctx)
    if ctx.vars.marked then
      req:json().cache = nil
    end
  end,
}
