question = "Does a cluster carry more with more servers, and what does each request then cost?"
needs    = ["the first run builds Nomad and Consul from their modules, some ten minutes each", "for more than one server: a Postgres, named by `PILOTLIGHT_DATABASE_URL`"]

step "servers" {
  about   = "One load over the servers of one cluster on a real Nomad and Consul. `--servers N` has 1 to N of them share it."
  command = ["servers", "--servers", "1"]
}

does_not_show = [
  "Several servers: the committed report is of one, on Nomad.",
  "More throughput: servers, engine, Nomad, Consul and the load share one machine, so that only CPU per request can be compared.",
  "The loss of a server or of the leader: the test suite does that.",
]
