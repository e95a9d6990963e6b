// Package edge is what stands between a socket and the handlers of an HTTP API: the public listener and the admin listener have the same.
//
// It promises:
//
//   - Connections are bounded, in all and per address, below what the process has descriptors for. Where they run out, those that say
//     nothing make room for those that come.
//   - A request whose head could be read in two ways is refused before a handler sees it.
//   - A body is read only when its handler asks for it, within a limit, an account and a minimum rate, into memory that is given back.
//   - A caller that leaves is noticed within milliseconds, and each write to one that does not read is bounded.
//   - A refused caller that still sends reads the refusal, not a reset.
//
// It never knows who a caller is, and answers nothing but what was wrong with the HTTP itself.
package edge
