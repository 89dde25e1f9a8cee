--!strict
-- Sends a call to the upstream that its model is named after.

return policy {
  api = 1,

  route = function(req)
    return { upstream = req:json().model }
  end,
}
