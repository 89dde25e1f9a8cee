--!strict
-- Answers a repeated LLM call from memory, whole or as the stream it was: for the same user, until the answer is too old.

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

local ignored: { string } = {}
for part in unasked do
  table.insert(ignored, part)
end
for _, part in p.ignore do
  table.insert(ignored, part)
end

-- Everything that makes the answer what it is, by readable names. A header that says what is usual says nothing.
local reading = parts {
  ignore = ignored,
  normalise = p.normalise,
  headers = p.headers,
  usual = { ["anthropic-version"] = "2023-06-01" },
}

-- Whether a call gives the same answer each time, however often it is made.
local function is_stateless(key: any): boolean
  for _, field in STATEFUL do
    if (key[field] or "false") ~= "false" then
      return false
    end
  end
  return true
end

-- Whether a call leaves nothing to chance.
local function is_deterministic(key: any): boolean
  return key.temperature == "0" or key.input ~= nil
end

return policy {
  api = 1,

  cache = function(req, ctx)
    if p.ttl == 0 or not CALLS[ctx.dialect or ""] or req.method ~= "POST" then
      return nil
    end
    local key = req:parts(reading)
    if not key or not is_stateless(key) or (p.deterministic and not is_deterministic(key)) then
      return nil
    end
    local read, write = req:wishes()
    ctx.vars.kept = true
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
    if not ctx.vars.kept then
      return
    end
    local body = req:json()
    body.cache = nil
    local extra = body.extra_body
    if type(extra) == "userdata" and not json.is_array(extra) and extra.cache ~= nil then
      extra.cache = nil
      if #extra == 0 then
        body.extra_body = nil
      end
    end
  end,
}
