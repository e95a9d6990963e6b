// Package activator decides which request may use which instance of a model, and which instances exist.
//
// It is two machines in a thin shell. The dispatcher (package dispatch, one in every server) keeps bounded queues that are fair between
// orgs, and grants leases on the shares of instances that it was given. The planner (package plan, one in the cluster) places instances
// on GPUs, makes room, and is the only one that moves an instance from state to state; what exists it hears from its roster (package roster). They speak in two messages, Table
// and Report (package protocol), each the whole state with a version, or what has changed since the one before. In one process these are
// handed over in memory, and each machine has a lock of its own: a request on a hot model never waits for a decision.
//
// It promises:
//
//   - every Waiter gets exactly one answer: a lease, or one Refusal;
//   - leases on an instance never exceed its max concurrency, counting what any dispatcher may still hold;
//   - no instance is parked or stopped until every dispatcher has acknowledged a table without it and reported no lease on it, so
//     a stream is never cut to make room;
//   - a GPU has at most one awake instance, beside no more parked ones than its pool allows, and parked ones stay within the host
//     memory of their slot;
//   - GPUs are reserved only where demand as last reported, or the policy's wish, asks for them, and whether it can work
//     is checked before anyone is moved;
//   - an activation belongs to the model, not to the client that asked first;
//   - missing information is never taken for zero demand: while a source cannot be reached, nothing that it lists is taken away.
//
// The machines never start a goroutine, use a channel, read a clock, write a log or range over a map: time comes in,
// effects go out, so that a history replays. The package never speaks HTTP to an engine, and knows nothing of tokens or money.
package activator
