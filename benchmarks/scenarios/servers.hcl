question = "Does a cluster carry more with more servers, and what does each request then cost?"
needs    = ["the first run builds Nomad and Consul from their modules, some ten minutes each", "for more than one server: a Postgres, named by `PILOTLIGHT_DATABASE_URL`"]

step "servers" {
  about   = "One load over the servers of one cluster on a real Nomad and Consul: one of them alone takes it, then two, three and four share it in turns. `--servers 1` measures one, without Postgres."
  command = ["servers", "--servers", "4"]
  goal "4 servers / 1 server, requests per second on CPUs of their own" { at_least = 3 }
}

step "servers-core" {
  about   = "The core of 1, 4 and 16 servers on 10,000 instances: what the leader pays for a change and for a second in which nothing changes, what of the instances' places several servers can use together, and what a lease costs when four give them at once."
  command = ["scale", "--servers"]
  goal "Leader/back/servers=16/10000 p50" {
    at_most = 100
    unit    = "cpu-us"
  }
  goal "Leader/replaced/servers=16/10000 p50" {
    at_most = 1000
    unit    = "cpu-us"
  }
  goal "Leader/second/servers=16/10000 p50" {
    at_most = 1600
    unit    = "cpu-us"
  }
  goal "Leader, *, 16 servers: 10,000 instances / 1,000" { at_most = 2 }
  goal "Shares, *: 4 servers / 1" { at_least = 0.75 }
  goal "Shares/fit/servers=4 p99" {
    at_most = 50
    unit    = "ms"
  }
  goal "Shares/uneven/servers=4 p99" {
    at_most = 50
    unit    = "ms"
  }
  goal "Sharing: CPU of a lease, 4 servers / 1" { at_most = 1.33 }
}

does_not_show = [
  "More throughput: servers, engine, Nomad, Consul, Postgres and the load share one machine, so that only CPU per request can be compared. *On CPUs of their own* is worked out: so many servers, by what a request costs one and costs them.",
  "The loss of a server or of the leader: the test suite does that.",
  "servers-core: HTTP and TLS between servers, and a machine for each of them.",
]
notes = [
  "servers-core: `back` is a lease that is given back, `replaced` an instance that ends and another that takes its place, `burst` a hundred of those at once, `second` one in which nothing happens, `joins` a server that begins anew and is told of all there is. All servers are counted, the leader too. Bytes are what is said and heard for it.",
  "That four servers serve three times what one does is read in two ways, since this machine has two cores. Places: of what one server alone can use of the instances, four together use at least three quarters, whichever of them callers ask (`full`: two callers for each place; `fit`: seven for ten; `uneven`: most of those at one server); a lease beyond an instance's places ends the run. CPU: a lease costs at most 4/3 of what it costs with one server, messages and planner included, so that four servers on as many times the cores give three times the leases. The core alone is far from that: each lease that begins or ends is told to the leader, some 20 us of its CPU, where a server alone steps through many at once. With the rest of a request, as the step above has it, four servers are worth 3.4.",
]
