// Package trtsim is a simulated TensorRT-LLM engine: the HTTP contract, the delays and the failures of `trtllm-serve`
// without a GPU. It stands in for GPUs and for nothing else.
//
// It promises the routes, body shapes, error shapes, start-up, shutdown, batching, sleep mode and request signatures of
// the real server as its public source and documentation give them, and timing from one table of model parameters. Where
// upstream's behaviour is not known for sure, a comment at the place says what was assumed.
//
// It never pretends: answers begin by saying that the text is simulated, the Server header and the version name trtsim. Calls
// of tools and answers in JSON have no room for that: they are the plainest value that the caller's schema accepts.
// Vectors mean nothing but which words texts share, and their answers say so in a field of their own.
// It never looks at weights, and its token counts come from the stated rule of Count, not from a vocabulary.
//
// Every simulated delay is divided by Config.Speed, the engine's one-second poll for departed clients included. Protocol
// constants are not: the signature's clock window and the five seconds for which an idle connection is kept.
//
// An Engine is an http.Handler and starts no goroutine of its own, so it also runs inside a testing/synctest bubble.
package trtsim
