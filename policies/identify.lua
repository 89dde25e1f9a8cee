--!strict
-- Says who is calling: the user from a trusted header or an API key, the client tool from what it sends of itself.

local rules = require("./lib/rules")
local user_agents = require("./lib/user_agents")

local p = params {
  header = param.string("x-user-id", { doc = "The header in which a trusted peer names the user." }),
  trusted = param.list({ "127.0.0.1", "::1" }, { doc = "Addresses whose user header is believed; `10.0.*` for many, `*` for all." }),
  keys = param.table({}, { doc = "Users by the BLAKE3 hash of their API key, in hexadecimal." }),
  rules = param.list({}, { doc = "Rules asked before the shipped ones: { match, client, user?, header?, session?, agent? }." }),
  default_user = param.string("anonymous", { doc = "The user when nothing else tells one." }),
}

-- No name is longer than this, and none holds control characters: it goes into logs and cache keys.
local LONGEST_NAME = 256

-- The value of a header when it can be a name; an empty one counts as absent.
local function name_in(headers: any, header: string?): string?
  local value = header and headers:get(header)
  local name = value and string.match(value, "^%s*(.-)%s*$")
  if not name or name == "" or #name > LONGEST_NAME or string.find(name, "%c") or not utf8.len(name) then
    return nil
  end
  return name
end

local function is_trusted(address: string): boolean
  for _, known in p.trusted do
    if known == address then
      return true
    end
    local start = string.match(known, "^(.*)%*$")
    if start and string.sub(address, 1, #start) == start then
      return true
    end
  end
  return false
end

-- The API key as OpenAI's and Anthropic's clients send it.
local function api_key(headers: any): string?
  local bearer = headers:get("authorization")
  return bearer and string.match(bearer, "^[Bb]earer%s+(%S+)$") or headers:get("x-api-key")
end

local function user_of(req: any): (string?, string?)
  if is_trusted(req.client_ip) then
    local name = name_in(req.headers, p.header)
    if name then
      return name, "header " .. p.header
    end
  end
  local key = next(p.keys) and api_key(req.headers)
  local owner = key and p.keys[hash.blake3(key)]
  if owner then
    return owner, "api key"
  end
  return nil, nil
end

-- The first rule that finds its pattern. Every value of a header that came more than once is looked at.
local function client_of(headers: any, list: any): (any, string?)
  local folded: { [string]: { string } } = {}
  for _, rule in list do
    local header = rule.header or "user-agent"
    local values = folded[header]
    if not values then
      values = {}
      for _, value in headers:get_all(header) do
        table.insert(values, rules.fold(value))
      end
      folded[header] = values
    end
    for _, value in values do
      if string.find(value, rule.match) then
        return rule, `{header} ~ {rule.match}`
      end
    end
  end
  return nil, nil
end

local ALL = {}
for _, list in { p.rules, user_agents } do
  for _, rule in list do
    table.insert(ALL, rule)
  end
end

return policy {
  api = 1,

  identify = function(req, ctx)
    local user, user_evidence = user_of(req)
    local rule, client_evidence = client_of(req.headers, ALL)
    if not user and rule and rule.user then
      user, user_evidence = rule.user, client_evidence
    end
    local evidence = table.concat({ user_evidence or "default user", client_evidence }, "; ")
    return {
      user = user or p.default_user,
      client = rule and rule.client,
      session = rule and name_in(req.headers, rule.session),
      agent = rule and name_in(req.headers, rule.agent),
      evidence = evidence,
    }
  end,
}
