question = "What do idle GPUs and waiting cost under each policy, on recorded traffic?"

step "policies" {
  about   = "The real planner and policies over six days of each trace in virtual time, three seeds, beside a keep-alive of a minute with parking."
  command = ["policies", "--policies", "adaptive,fixed-60+park"]
  goal "node8: adaptive, cost" { at_most = 310 }
  goal "fleet40: adaptive, cost" { at_most = 1900 }
  goal "fleet64: adaptive, cost" { at_most = 2100 }
}

does_not_show = [
  "Real engines: starts, parks and resumes take what a table of published figures says, with jitter.",
  "Real arrivals beyond these [traces](../traces/): how they were made is told there.",
]
notes = [
  "More policies, a clairvoyant, another simulator's figures beside ours, where the waits are, and what was tried: [policies/](policies/).",
]
