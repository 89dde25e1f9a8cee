-- Work (d) of scripts/bench with a hook: every event gets another model name.
return policy {
  api = 1,

  on_event = function(ev)
    if ev.data ~= "[DONE]" then
      ev:json().model = "gate"
    end
  end,
}
