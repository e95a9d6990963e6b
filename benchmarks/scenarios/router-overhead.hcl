question = "What does a request cost through the router, and what does it add to its latency, beside proxies that people know?"
peers    = ["nginx", "HAProxy", "Caddy", "a router of Go's net/http", "sglang-router", "vllm-router", "LiteLLM"]
needs    = ["nginx, HAProxy and Caddy: `apt-get install nginx-light haproxy caddy`", "sglang-router, vllm-router and LiteLLM: `benchmarks/peers/install`; those that are missing are left out, and said so"]

step "json" {
  about   = "CPU and rate of a small request (600 B in, 400 B out), with tokens, limits, metering, the log of usage records and SQLite on, in turns with nginx that forwards the same."
  command = ["json", "--concurrency", "16,128"]
  goal "pilotlight / nginx, CPU per request, c=*" { at_most = 1.15 }
  goal "pilotlight / nginx, requests per second, c=*" { at_least = 0.95 }
}

step "latency" {
  about   = "What is added to the median of a small request at concurrency 1, against the engine asked directly."
  command = ["latency"]
  goal "pilotlight / nginx, added to p50" { at_most = 1.2 }
}

step "peers" {
  about   = "The same small request, and then 100 streams of an event each 20 ms, through all the others in turns."
  command = ["peers", "--concurrency", "16", "--streams", "100"]
  goal "pilotlight / nginx, requests per second" { at_least = 0.95 }
  goal "pilotlight / caddy, requests per second" { at_least = 4 }
  goal "pilotlight / net/http, CPU per request" { at_most = 0.2 }
}

does_not_show = [
  "TLS, a network between the machines, or more than the machine's CPUs: client, engine and proxies share them.",
  "Equal work: Pilotlight checks tokens and limits, reads the body, bills and writes a record that survives a crash; nginx, HAProxy and Caddy only forward.",
  "The others at their best: each has the settings that its manual gives for this use, and no tuning beyond. LiteLLM has two workers, as nginx has.",
  "Bifrost and TensorZero: neither could be installed from the registries that this project builds from. What is published of them (Bifrost: 11 us and 5,000 requests a second on 4 CPUs; TensorZero: p50 0.35 ms at 10,000) was measured elsewhere, and is not comparable.",
]
notes = [
  "Read ratios, not microseconds: each is taken within one repetition, in which every program runs once, in random order. CPU is what the program's threads have spent on a CPU, its workers included.",
  "Where the CPU goes, and what was tried: [profile.md](profile.md), [performance.md](../../docs/performance.md).",
]
