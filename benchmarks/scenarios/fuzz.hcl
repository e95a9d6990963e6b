question = "Does any input break what parses what others have written?"

step "fuzz" {
  about   = "Each fuzz target for ten minutes, two at once: requests, streams, engines' answers, dialects, configs, files of organisations, the log of usage records, tokens, what servers say to each other, and what Nomad, Consul and slots answer."
  command = ["fuzz"]
  goal "*, inputs" { at_least = 10000 }
}

does_not_show = [
  "What no target promises: a target fails by a panic, or where its own check does not hold.",
  "Inputs that a search of hours would find. What was found is kept below testdata/fuzz, and every run of the tests tries it.",
]

notes = [
  "In the first of the four runs FuzzEngineError ended early with an input that passes: a process that got no CPU for ten seconds is taken to hang. It ran its ten minutes in the second.",
  "FuzzImport tried nothing but its kept inputs before, since Go made each that reached new code smaller for a minute.",
]
