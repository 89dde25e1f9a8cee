-- What `load reload` saves again and again, with another number each time.
return policy {
  api = 1,

  on_response = function(res)
    res.headers:set("x-revision", "revision-0")
  end,
}
