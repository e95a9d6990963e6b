// Package whatif answers what the last day's requests would have cost, and how long they would have waited, had a pool been set otherwise.
//
// It promises that both sides of an answer are simulated alike, with the real planner, dispatcher and policies (internal/simulate), over the arrivals that the
// ledger has; that an answer says what it assumes; and that one question is worked on at a time, within bounds of memory and time, without a lock of
// the server's planner or dispatcher. It never changes a setting, and never writes.
package whatif
