--!strict
-- The body of a request as policies want it: a JSON object, or nothing.

local body = {}

-- A live view of the body, which is read first; nil when it is something else than a JSON object.
function body.object(req: any): any
  local value = req:json()
  return if type(value) == "userdata" and not json.is_array(value) then value else nil
end

return body
