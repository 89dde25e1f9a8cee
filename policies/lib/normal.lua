--!strict
-- What differs from call to call and means nothing: taken out of texts before they are compared for the cache.
-- `part` is the part of the key that is changed, `pattern` what is replaced in it, `with` by what; nothing unless given.

return {
  -- Claude Code puts a line of accounting before its instructions: `x-anthropic-billing-header: cc_version=…; cch=…;`.
  -- A line that says anything else is an instruction: who shares answers could have others told that.
  { part = "system", pattern = [[\A\s*x-anthropic-billing-header:(?: cc_version=[0-9.]{1,16}[0-9a-f]{0,8};)?(?: cc_entrypoint=[a-z-]{1,12};)?(?: (?:cc_is_subagent=(?:true|false)|cch=[0-9a-f]{1,16});){0,2}[ \t]*(?:\n|\z)]] },
} :: { { part: string, pattern: string, with: string? } }
