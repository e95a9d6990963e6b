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
  "The machine did other work meanwhile, most of the time more than it has CPUs for.",
  "A run of two hours before showed memory growing by 45 MB an hour, 1.39 times from its second quarter to its last. It was SQLite's page cache, outside Go's heap, in which usage records stayed: some 200 bytes of memory for each. By its own limits it would have stopped at 320 MB. It stops at some 40 MB now, at this load after about 20 minutes.",
]
