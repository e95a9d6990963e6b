question = "A herd asks a model that is cold: what does holding it cost, how soon is it let go, and is anybody lost?"

step "herd" {
  about   = "1,000 requests at once for a cold model of one engine: all answered, and how soon after the engine's first token."
  command = ["herd", "--requests", "1000"]
  goal "failed" { at_most = 0 }
  goal "answered" { at_least = 1000 }
}

step "herd-10000" {
  about   = "10,000 requests, let go to at most four engines."
  command = ["herd", "--requests", "10000", "--engines", "4", "--load", "40s", "--pairs", "3"]
  goal "failed" { at_most = 0 }
  goal "answered" { at_least = 10000 }
  goal "memory per held request" { at_most = 16 }
}

step "held" {
  about   = "Memory and idle CPU of 10,000 requests that are held and not let go, beside one that waits for the same loading engine."
  command = ["held", "--requests", "10000", "--pairs", "3", "--watch", "6s"]
  goal "memory per held request" { at_most = 16 }
  goal "CPU per second, one waiting for the loading engine" { at_most = 5 }
}

step "release" {
  about   = "From the engine's readiness to its first held request, over cold starts one after the other."
  command = ["release"]
  goal "engine listens to first held request at the engine" { at_most = 5 }
  goal "engine's first token to first held request" { at_most = 5 }
}

step "release-10s" {
  about   = "The same of an engine that loads for ten seconds and, as servers do, writes a line when it begins to listen."
  command = ["release", "--load", "10s", "--starts", "8"]
  goal "engine listens to first held request at the engine" { at_most = 5 }
}

does_not_show = [
  "10,000 requests from one address, which may have nine sixteenths of a server's connections: they come from two. 20,000 open files (`ulimit -n`) are enough for all.",
  "An engine that writes nothing while it loads (`release --silent`): it is looked at every thirty-second of its wait, every 100 ms at least.",
  "A real engine's own queue: this one answers at once, so that what is left is Pilotlight's part.",
  "Streams: these are whole answers. Keep-alives of waiting streams are not sent.",
  "Fairness between organisations in the queue: that is the scenario fairness.",
]
notes = ["CPU with all waiting, less that with one waiting, is what the held requests themselves cost: it cannot be told from zero."]
