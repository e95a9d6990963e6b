// Package simulate runs the real dispatcher, planner and policies over a trace, on a cluster in virtual time.
//
// It promises that one seed gives one result, that no clock is read and nobody sleeps, and that memory does not grow with the number
// of requests, except under the oracle, which must know them all. It never starts a goroutine and never prints.
package simulate
