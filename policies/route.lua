--!strict
-- Sends a call to an upstream by the model it asks for: an explicit `upstream/model`, an alias, or the first rule that fits.

local bodies = require("./lib/body")
local rules = require("./lib/rules")

-- A place is "upstream", "upstream/model", or a list of such places: the first is asked first, the others are in reserve.
local p = params {
  aliases = param.table({}, { doc = "Places by another name for a model, in small letters: { fast = \"openai/gpt-4o-mini\" }." }),
  rules = param.list({
    { match = "^claude", to = "anthropic" },
    { match = "^gpt%-", to = "openai" },
    { match = "^ft:gpt%-", to = "openai" },
    { match = "^o%d", to = "openai" },
    { match = "^text%-embedding", to = "openai" },
    { match = "^gemini", to = "gemini" },
    { match = ":", to = "local" },
  }, { doc = "Places by a Lua pattern in small letters that is found in the model; the first rule that fits decides." }),
  dialects = param.table({
    ["anthropic.count_tokens"] = "anthropic",
    ["ollama.chat"] = "local",
    ["ollama.generate"] = "local",
    ollama = "local",
    gemini = "gemini",
    ["gemini.embed"] = "gemini",
    ["gemini.models"] = "gemini",
    ["gemini.count_tokens"] = "gemini",
  }, { doc = "Places for calls by dialect: those without a model, and those whose model no rule fits." }),
  paths = param.list({ { match = "^/api/hello$", to = "anthropic" } }, { doc = "Places by a Lua pattern in the path, for calls of no dialect." }),
  upstreams = param.list({ "openai", "anthropic", "local", "gemini" }, { doc = "Names that clients may write before a model, as in `local/qwen3`." }),
  fallback = param.string("", { doc = "The place for models that nothing fits; without it they are refused with 404." }),
}

local function listed(upstream: string): boolean
  return table.find(p.upstreams, upstream) ~= nil
end

-- One attempt of the plan. The part before the first slash counts as an upstream only when it is one: models have
-- slashes in their names too.
local function attempt(place: string): any
  local before, after = string.match(place, "^([^/]+)/(.+)$")
  if before and listed(before) then
    return { upstream = before, model = after }
  end
  return { upstream = place }
end

local function plan(place: any): any
  if type(place) ~= "table" then
    return attempt(place)
  end
  local attempts = {}
  for _, one in place do
    table.insert(attempts, attempt(one))
  end
  return attempts
end

-- Gemini names the model in the path; all others in the body.
local function model_of(req: any, ctx: any): string?
  if ctx.dialect == "gemini" then
    return string.match(req.path, "/models/([^/:]+):")
  end
  if req.method ~= "POST" then
    return nil
  end
  local asked = bodies.object(req)
  local model = asked and asked.model
  return if type(model) == "string" and model ~= "" then model else nil
end

local function place_of(model: string): any
  local folded = rules.fold(model)
  if p.aliases[folded] then
    return p.aliases[folded]
  end
  local explicit = attempt(model)
  if explicit.model then
    return model
  end
  local rule = rules.first(p.rules, folded)
  return rule and rule.to
end

return policy {
  api = 1,

  route = function(req, ctx)
    if not ctx.dialect then
      local rule = rules.first(p.paths, rules.fold(req.path))
      return rule and plan(rule.to) -- nil: the default upstream
    end
    local model = model_of(req, ctx)
    local place = model and place_of(model) or p.dialects[ctx.dialect]
    if place then
      return plan(place)
    end
    if not model then
      return nil -- the default upstream says itself what it misses
    end
    if p.fallback ~= "" then
      return plan(p.fallback)
    end
    return reject { status = 404, code = "model_not_found", message = `no upstream serves the model {string.sub(model, 1, 80)}` }
  end,
}
