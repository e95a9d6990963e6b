// Package autoscaler holds pure policies: how many instances of a model should be hot, for how long, and why.
//
// It promises that Decide reads nothing but its arguments and what Observe was told, and that every wish has a reason in
// words. It never acts, never reads a clock, never takes a lock and never starts a goroutine: the planner calls it under its own.
package autoscaler
