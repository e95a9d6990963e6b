question = "What does streaming at scale cost, how late do tokens come, and is a stream ever cut?"
peers    = ["nginx"]
needs    = ["nginx: `apt-get install nginx-light`"]

step "sse" {
  about   = "CPU per event and delay from the engine's write to the client's read, 100 to 1,000 streams of an event each 20 ms."
  command = ["sse", "--streams", "100,200,500,1000"]
  goal "pilotlight / nginx, CPU per event, *" { at_most = 1.1 }
  goal "pilotlight / nginx, delay p50, 100 streams" { at_most = 1 }
  goal "pilotlight / nginx, delay p50, 200 streams" { at_most = 1 }
  goal "pilotlight / nginx, delay p99, 100 streams" { at_most = 1 }
  goal "pilotlight / nginx, delay p99, 200 streams" { at_most = 1 }
  goal "pilotlight / nginx, delay p99, 500 streams" { at_most = 1.25 }
  goal "pilotlight / nginx, delay p99, 1000 streams" { at_most = 1.25 }
}

step "sse-burst" {
  about   = "The same where the engine writes as fast as it can."
  command = ["sse", "--streams", "16", "--events", "40000", "--interval", "0s"]
  goal "pilotlight / nginx, CPU per event, *" { at_most = 0.9 }
}

step "departure" {
  about   = "A client leaves: how soon its place in the queue is free, and how soon the engine is told to stop."
  command = ["departure"]
  goal "queued: p99" { at_most = 10 }
  goal "streaming: p99" { at_most = 15 }
}

step "drain" {
  about   = "SIGTERM in the middle of 100 live streams: how many end as they should."
  command = ["drain"]
  goal "complete streams" { at_least = 100 }
}

does_not_show = [
  "Slow clients, TLS, or a network with loss.",
  "Where one machine's CPUs end: at 1,000 streams client and engine take most of two CPUs, and delays are those of a full machine.",
]
