question = "What does it take to give GPUs from one model to another, and what is left for work when two models fight for them?"

step "swap" {
  about   = "Two models in turns on one GPU, each parked when the other is wanted, against the same parks and resumes by hand; then a caller for each who asks again as soon as he is answered."
  command = ["swap", "--swaps", "40", "--fight", "60s"]
  goal "a swap, less park and resume by hand" { at_most = 10 }
  goal "two that fight: swaps of all answers" { at_most = 0.1 }
}

does_not_show = [
  "What a park and a resume of a real engine take: these are simulated, twenty times faster than life, by a table of published figures.",
  "Memory: the simulated engines hold none, so host memory is only counted.",
  "More than two models: what a policy makes of many is the scenario policies.",
]
notes = ["Two that fight do not swap at every request: an instance that is asked all the time is left to its model for a while, and then drained for the other. So most answers are hot, few wait long, and little of the GPU's time goes into swaps."]
