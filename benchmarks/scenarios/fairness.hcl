question = "Does one who hoards what all share slow the others down, and is the memory given back?"

step "fairness" {
  about   = "First tokens of an honest organisation, alone and beside another's 32 hoarders, 500 slow heads, 500 slow bodies and 200 bad requests a second; memory after they have left; errors behind 1,000 silent sockets at `ulimit -n 800`."
  command = ["fairness"]
  goal "beside / alone, p99" { at_most = 2 }
  goal "memory above the base, 10s after they have left" { at_most = 50 }
}

step "bodies" {
  about   = "Memory one second after three rounds of eight bodies of 50 MB at once."
  command = ["bodies"]
  goal "memory above the base, one second after the last" { at_most = 10 }
}

does_not_show = [
  "Attackers on many addresses, or with valid tokens of many organisations.",
]
