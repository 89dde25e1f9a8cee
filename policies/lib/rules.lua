--!strict
-- Ordered rules: the first whose pattern is found in a text decides. Patterns are Lua patterns in small letters,
-- because texts are compared in small letters.

export type Rule = { match: string, [string]: any }

-- Longer values than any client or model sends are cut, so that a hostile one costs no more than an honest one.
local LONGEST = 512

local rules = {}

-- The text as rules see it.
function rules.fold(text: string): string
  return string.lower(string.sub(text, 1, LONGEST))
end

-- The first rule that matches a folded text.
function rules.first(list: { Rule }, folded: string): Rule?
  for _, rule in list do
    if string.find(folded, rule.match) then
      return rule
    end
  end
  return nil
end

return rules
