question = "Does anything grow that should not, while callers of all kinds come and go for hours?"

step "soak" {
  about   = "Two hours of small requests, streams, callers who leave, models that are parked for each other, cold starts, wrong requests, tokens made and revoked, reloads, and open consoles: memory, goroutines, descriptors, threads and child processes, looked at every 15 seconds."
  command = ["soak"]
  goal "resident memory, last quarter / second" { at_most = 1.1 }
  goal "goroutines, last quarter / second" { at_most = 1.1 }
  goal "open descriptors, last quarter / second" { at_most = 1.1 }
  goal "threads, last quarter / second" { at_most = 1.1 }
  goal "child processes, last quarter / second" { at_most = 1.1 }
}

does_not_show = [
  "Weeks: what grows by less than a tenth in two hours.",
  "A back end on Nomad, whose agents have memory of their own.",
]

notes = [
  "Memory grows by some 45 MB an hour at 76 requests a second, a swap and a half, and a cold start each five seconds: about 170 bytes a request, if it is requests. What holds it is not known yet; nothing else grows.",
]
