--!strict
-- Goes on to the next endpoint when one fails, waits and asks again when there is only one, and never repeats a refusal.

local p = params {
  attempts = param.integer(3, { min = 1, max = 16, doc = "Attempts of one exchange, the first included." }),
  longest_wait = param.number(30, { min = 0, doc = "Seconds; an upstream that asks for a longer pause is given up." }),
  own_keys = param.boolean(false, { doc = "Whether endpoints have keys of their own: then 401, 402 and 403 go on to the next." }),
  own_models = param.boolean(false, { doc = "Whether endpoints have models of their own: then 404 goes on to the next." }),
}

-- Between two attempts at the only endpoint: a quarter of a second, doubled each time, at most eight.
local FIRST_WAIT, LONGEST_BACK_OFF = 0.25, 8

-- The upstream did not act on the request, so that repeating it is safe whatever it is.
local UNTOUCHED = { [408] = true, [429] = true, [503] = true, [529] = true }
local UNTOUCHED_ERRORS = { connect = true, tls = true, overloaded = true }

-- The upstream may have acted on it.
local FAILED = { [500] = true, [502] = true, [504] = true }
local FAILED_ERRORS = { timeout = true, reset = true, garbage = true, stream_error = true }

local KEYS = { [401] = true, [402] = true, [403] = true }

-- Methods that do the same when they come twice (RFC 9110, section 9.2.2).
local IDEMPOTENT = { GET = true, HEAD = true, OPTIONS = true, TRACE = true, PUT = true, DELETE = true }

local function of_this_endpoint(status: number): boolean
  return (p.own_keys and KEYS[status]) or (p.own_models and status == 404) or false
end

local function again(attempt: any, repeatable: boolean): boolean
  if attempt.kind ~= "status" then
    return UNTOUCHED_ERRORS[attempt.kind] or (repeatable and FAILED_ERRORS[attempt.kind]) or false
  end
  local status = attempt.status
  return UNTOUCHED[status] or (repeatable and FAILED[status]) or of_this_endpoint(status)
end

-- Seconds before the same endpoint is asked again: what it wants, else a random part of the back-off, so that many
-- clients do not come back at one time. Nil: longer than anybody should wait.
local function wait_for(attempt: any, remaining: number?): number?
  local back_off = math.min(LONGEST_BACK_OFF, FIRST_WAIT * 2 ^ (attempt.number - 1))
  local wait = attempt.retry_after or back_off * math.random()
  if wait > p.longest_wait or (remaining and wait >= remaining) then
    return nil
  end
  return wait
end

return policy {
  api = 1,

  -- Calls of LLM APIs compute an answer and change nothing; of others, only the method tells.
  on_request = function(req, ctx)
    ctx.vars.repeatable = ctx.dialect ~= nil or IDEMPOTENT[req.method] == true
  end,

  failover = function(attempt, ctx)
    if attempt.number >= p.attempts or not again(attempt, ctx.vars.repeatable) then
      return { retry = false }
    end
    if attempt.untried > 0 then
      ctx.vars.had_choice = true
      return { retry = true }
    end
    -- Who found no room in the line before the only endpoint has waited already.
    local waits = not ctx.vars.had_choice and attempt.kind ~= "overloaded"
    local wait = if waits then wait_for(attempt, ctx:remaining()) else nil
    return if wait then { retry = true, after = wait } else { retry = false }
  end,
}
