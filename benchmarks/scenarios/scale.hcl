question = "How large may a cluster be before its core is slow?"

step "scale" {
  about   = "The core at 100, 1,000 and 10,000 instances: a step after one event, a complete list, `Acquire`, memory, and a whole simulated request."
  command = ["scale"]
  goal "Step/*/10000 p50" {
    at_most = 100
    unit    = "cpu-us"
  }
  goal "NodeStep/*/10000 p50" {
    at_most = 100
    unit    = "cpu-us"
  }
  goal "Step/*/10000 p99" {
    at_most = 1000
    unit    = "cpu-us"
  }
  goal "NodeStep/*/10000 p99" {
    at_most = 1000
    unit    = "cpu-us"
  }
  goal "List/*/10000 p99" {
    at_most = 30000
    unit    = "cpu-us"
  }
  goal "Acquire/10000 p99" {
    at_most = 50
    unit    = "us"
  }
  goal "Memory/10000" { at_most = 200 }
  goal "Request: 8,000 models / 1,000" { at_most = 3 }
}

does_not_show = [
  "Back ends and their networks, events that come in bursts, fleets of which thousands of models wait.",
]
notes = ["A step is the dispatcher's report, the planner's decisions, the tables back, and when to wake next. Its events: a lease given back (`lease`), another word on an instance (`sighting`), its last lease given back (`idle`), its end, the launch of another in its place and its readiness (`replaced`); each in slots (`Step`) and on machines where the back end places (`NodeStep`), in a full fleet with 30 models waiting for room and in one without. Goals are for the thread's CPU time, since the machine is shared."]
