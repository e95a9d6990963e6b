// Package bench loads a server that speaks the OpenAI API and says what its callers would have seen.
//
// It promises that a latency counts from the moment at which a request was meant to be sent, so that a server which stalls is not spared the
// requests that would have come meanwhile (no coordinated omission); that a stream which was cut short never counts as an answer; that
// memory does not grow with the number of requests; and that two results can be put together, or held against each other with an interval
// for each ratio. What a server says of itself (Server-Timing, X-Pilotlight-* headers, the object pilotlight of a stream, receipts) is kept
// apart from what was measured here.
//
// It never guesses at a server's parts: where the server says nothing, they are absent. It never counts tokens of an answer itself where the
// server's usage has come. It never prints, and holds no money in floating point.
//
// Run is the loop, a Plan says what is sent when, a Sender sends it, a Collector sums up; a Result is what is kept, Summarize and Compare read it.
package bench
