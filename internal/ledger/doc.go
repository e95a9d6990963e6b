// Package ledger keeps usage records: what each dispatched request used, and what it costs.
//
// It promises that a record whose Append has returned nil survives the process being killed at any moment and is then in
// the store exactly once, and that one whose Append has failed is nowhere; that its cost is exact, rounded once; that it shows in sums and receipts of this process at once, and in
// lists and other processes within half a second; that a query writes nothing, and that the queries of one organisation never keep
// those of another waiting. It holds the one definition of a billed second (Billed) and of its price (Cost). It
// never estimates, never changes a record, and never drops one silently: what cannot be read from a damaged log is set
// aside as a .corrupt file and reported.
//
//	Append ──write(2)──► segment file ──mover──► usage_blocks ──sorter──► usage_runs, one part of each an organisation
//	   │                     │            └────► usage_days
//	   └─► tail, in memory   └ fsync: within 50 ms (async), or before Append returns (sync)
//
// Queries read the tail and a snapshot of the store.
//
// A log is a directory of numbered segments. A segment goes when all of it is in the store. The mover copies stretches of a
// segment into blocks, or large ones into runs at once, frames as they are but compressed, because a row for each record would cost ten times as much; it looks at every
// record for its checksum, its sums and the keys by which its block is found. Days are summed up, so that only a query that cuts
// a day reads records. The sorter makes runs of neighbouring blocks: few, and sorted, so that nobody reads through the records of others.
// Retention deletes whole days, and never by a clock that may have jumped (clock).
// A damaged block or part fails only itself: lists name it, sums that would need it are refused, and nobody touches it.
//
// How far a segment has been moved is not kept over a restart: the whole of what is left is moved again, and the store knows
// by the segment's ID and the bytes that its blocks cover (usage_extents: have covered) what it has. So there is no second truth that could disagree with
// the records, even where a directory was copied or put back. Where a record may be at two places (a correction, which two servers may
// make at once) or a place is not sure (a segment with a damaged header), it is looked up by its own ID.
//
// A record whose write or, with Sync, fsync fails is taken back: the log is cut, and the next segment begins with a frame that says so (cutoff).
// Segments are allocated whole, and Reserve takes room in them for a record that is still to come. Each organisation's records are a chain of
// hashes (chain, Hash).
package ledger
