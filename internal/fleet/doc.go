// Package fleet holds the nouns of Pilotlight: models, engines, pools, slots, instances, and what is said about them
// between the parts (observations, acts, events, wishes, snapshots).
//
// It promises that a word means the same in every package, in HCL, in JSON, in metric labels and on the command line.
// It never does I/O, never reads a clock, never starts a goroutine and imports nothing but the standard library.
// Every value here is plain data: safe to copy, and safe to share between goroutines as long as nobody writes to it.
package fleet
