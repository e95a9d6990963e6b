// Package router is the front door: the OpenAI-style API for an organisation's callers.
//
// It promises, for every request:
//
//   - What can fail fails before the response is committed. Status and headers wait for the first body byte of the engine, or
//     for the first keep-alive. Behind a keep-alive, waiting and the one retry go on, and a failure is an SSE error event.
//   - The end of an answer is held back until its billed time is fixed and its record is in the ledger's log. Who has an
//     answer whole has its record.
//   - Streams carry whole events only, and one that an engine cut short never looks complete.
//   - A caller that leaves is noticed within milliseconds, in every phase: its place in the queue is given up, its engine
//     connection closed.
//   - Nothing that a caller framed reaches an engine: the request to the engine is written anew.
//
// It never decides where a model runs (the activator does), never keeps a body longer than it may still be sent, never logs a
// prompt or an answer, and never shows a caller an engine's address.
//
// One request is one exchange, of three parts: the intake, what its caller has sent and what it may; an attempt, a fresh one for each try on an
// engine; and the response, what the caller is told. It moves through these stages in its connection's own goroutine, first in the handler, and
// from the commit on as the response's body:
//
//	admit ──► waiting ──► asking ──► relaying ──► sealed
//	  │          │          │  ▲         │
//	  │          │          └──┘ once    │
//	  └──────────┴──────────┴────────────┴──► failed
package router
