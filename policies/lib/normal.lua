--!strict
-- What differs from call to call and means nothing: taken out of texts before they are compared for the cache.
-- `part` is the part of the key that is changed, `pattern` what is replaced in it, `with` by what; nothing unless given.

return {
  -- Claude Code puts a line of accounting before its instructions: `x-anthropic-billing-header: cc_version=…; cch=…;`.
  { part = "system", pattern = [[\A\s*x-anthropic-billing-header:[^\n]*\n?]] },
} :: { { part: string, pattern: string, with: string? } }
