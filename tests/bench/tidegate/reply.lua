-- Answers every request itself: what the gate's cache is measured against.
local ANSWER = [[{"id":"chat-1","object":"chat.completion","created":1700000000,"model":"model-x","choices":[{"index":0,"message":{"role":"assistant","content":"The tide comes in and the tide goes out, and the gate stands."},"finish_reason":"stop"}],"usage":{"prompt_tokens":64,"completion_tokens":16,"total_tokens":80}}]]

return policy {
  api = 1,

  on_request = function()
    return respond { status = 200, headers = { ["content-type"] = "application/json" }, text = ANSWER }
  end,
}
