// Package protocol is what the planner and the dispatchers say to each other, and one planner to the next, and nothing else: Table, Report, Handover, and the
// order of their versions.
//
// Each message but a Handover is the whole state, or, where it says that it is partial, what has changed since the message before. Either side
// ignores what is older than what it has taken. So messages may be lost, late, doubled and in any order: the next whole one mends
// everything. Durations, never moments, cross the wire, so that the two sides need no common clock.
package protocol

// Newer reports whether a version is newer than another. A version is a life, which is larger than any before it, and a number in
// that life.
func Newer(life, seq, thanLife, thanSeq uint64) bool {
	return life > thanLife || life == thanLife && seq > thanSeq
}
