--!strict
-- What stands in requests and does not change the answer: fields that are no part of a cache key, each with its reason.

return {
  stream = "one stored answer serves whole and event by event",
  user = "says who asks; for whom an answer is kept is the scope's to say",
  metadata = "says what a call is for, to whoever reads the bill",
  safety_identifier = "says who asks",
  prompt_cache_key = "helps the upstream find what it has read before",
  prompt_cache_retention = "says how long the upstream keeps what it has read",
  cache_control = "marks how far the upstream keeps what it has read",
  service_tier = "says how soon the answer is wanted; a stored one is there already",
  keep_alive = "says how long a model stays in memory afterwards",
  cache = "a word to the gate",
  ["extra_body.cache"] = "likewise",
} :: { [string]: string }
