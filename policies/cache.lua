--!strict
-- Answers a repeated LLM call from memory, whole or as the stream it was: for the same user, until the answer is too old.

local bodies = require("./lib/body")
local unasked = require("./lib/unasked")

local p = params {
  ttl = param.integer(0, { min = 0, doc = "Seconds that an answer may serve; 0 stores nothing." }),
  revalidate = param.integer(0, { min = 0, doc = "Seconds that an answer may serve after its time while a new one is fetched." }),
  if_error = param.integer(0, { min = 0, doc = "Seconds that an answer may serve after its time when the upstreams fail." }),
  tags = param.list({}, { doc = "Words to purge the answers by: `tidegate cache purge --tag`." }),
  scope = param.string("user", { values = { "user", "shared" }, doc = "Who may be served an answer: `user` who asked first, or `shared` with everybody." }),
  ignore = param.list({}, { doc = "Parts of the key that do not change the answer, besides those in `lib/unasked.lua`." }),
  normalise = param.list(require("./lib/normal"), { doc = "Changes of texts before they are compared: `{ part =, pattern =, with = }`." }),
  pace = param.string("instant", { values = { "instant", "recorded" }, doc = "How fast a stored stream is told: at once, or with the pauses that it came with." }),
  headers = param.list({ "anthropic-version", "anthropic-beta", "openai-beta" }, { doc = "Request headers that change the answer." }),
  deterministic = param.boolean(false, { doc = "Store chats only that ask for temperature 0." }),
  texts = param.boolean(true, { doc = "Keep embeddings text by text, so that only texts that are new are asked for." }),
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
  ["gemini.embed"] = true,
  ollama = true,
}

-- Calls that change something at the upstream are made every time.
local STATEFUL = { "background", "conversation" }

-- What headers say unless they say something.
local USUAL = { ["anthropic-version"] = "2023-06-01" }

local ignored: { string } = {}
for part in unasked do
  table.insert(ignored, part)
end
for _, part in p.ignore do
  table.insert(ignored, part)
end

-- What stands in a body's `extra_body` for the gate.
local function word_of(extra: any): any
  return if type(extra) == "userdata" and not json.is_array(extra) then extra.cache else nil
end

-- Everything that makes the answer what it is, by readable names; nil when the body is nothing that the gate can read.
local function key_of(req: any): any
  local key = req:parts { ignore = ignored, normalise = p.normalise }
  for _, header in p.headers do
    local value = req.headers:get(header)
    if key and value ~= USUAL[header] then
      key["header " .. header] = value
    end
  end
  return key
end

-- Whether a call is one that gives the same answer each time.
local function is_deterministic(key: any): boolean
  return key.temperature == "0" or key.input ~= nil
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
    local key = key_of(req)
    if not key or (p.deterministic and not is_deterministic(key)) then
      return nil
    end
    local read, write = req:wishes()
    ctx.vars.marked = body.cache ~= nil or word_of(body.extra_body) ~= nil
    return {
      key = key,
      ttl = p.ttl,
      scope = p.scope,
      read = read,
      write = write,
      pace = p.pace,
      tags = p.tags,
      texts = p.texts and key.input ~= nil,
      stale = { while_revalidate = p.revalidate, if_error = p.if_error },
    }
  end,

  -- The field `cache` is a word to the gate; upstreams refuse what they do not know.
  on_attempt = function(req, _attempt, ctx)
    if not ctx.vars.marked then
      return
    end
    local body = req:json()
    body.cache = nil
    if word_of(body.extra_body) ~= nil then
      body.extra_body.cache = nil
      if #body.extra_body == 0 then
        body.extra_body = nil
      end
    end
  end,
}
