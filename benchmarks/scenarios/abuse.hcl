question = "What do callers notice when everything comes at once: a herd that is held, a crowd of streams, and callers that mean harm?"
needs    = ["20,000 open files for each process (`ulimit -n`)"]

step "abuse" {
  about   = "First tokens of four callers in a closed loop, alone and beside 10,000 requests held for a cold model, 2,000 live streams of an event each two seconds, and 200 bad clients of one organisation: 16 hoarders, 60 slow heads, 60 slow bodies, 40 readers that never read, 24 that send bad requests four times a second. Every stream must be whole, and nobody who is held may be turned away."
  command = ["abuse", "--held=10000", "--pairs=3", "--window=6s"]
  goal "beside / alone, p99" { at_most = 2 }
  goal "memory of the server, all there" { at_most = 640 }
  goal "streams that were cut" { at_most = 0 }
  goal "held requests that were turned away" { at_most = 0 }
}

does_not_show = [
  "Bad clients on many addresses: here all are on one, as behind a balancer.",
  "A server on a machine of its own: the callers, the engines and the server share its cores.",
]

notes = [
  "Memory is bounded by what there may be of each: `body_budget` for bodies, `queue.limit` for those who are held, `max_concurrency` for streams, `max_connections` for all. What is measured is with the defaults of all but `queue` and `max_concurrency`.",
]
