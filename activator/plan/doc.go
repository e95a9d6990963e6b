// Package plan decides: which instances of each model there should be, where, and when one is started, resumed, parked or stopped. It is the one
// that moves an instance from state to state. Two things it leaves to others: which request uses which instance (activator/dispatch), and what
// exists (activator/roster).
//
// It promises:
//
//   - no instance is parked or stopped until every dispatcher has acknowledged a table without it and reported no lease on it, or is lapsed and the
//     engine, asked since, serves nobody: so a stream is never cut to make room;
//   - a GPU has at most one awake instance, beside no more parked ones than its pool allows, and parked ones stay within the host memory of their slot;
//   - GPUs are reserved only where demand as last reported, or the policy's wish, asks for them, and whether it can work is checked before anyone is moved;
//   - leases on an instance never exceed its max concurrency, counting what any dispatcher may still hold;
//   - nothing is started, and nothing is said to be impossible, before all has spoken that would say what exists at that kind of place;
//   - a failure is blamed on the place first, and on the model only when another place fails too, or when there is no other;
//   - no slot is asked for beyond slots.max and no instance beyond instances.max, whatever was heard when.
//
// Inputs only note what they bring; Step decides. A step costs what has changed since the last one: whoever changes something marks it, and a step
// looks at what is marked. Who waits for room is looked at again when something was freed at a place that could hold it, and now and then because
// values change with time alone. Whoever searches changes nothing; what was found is then carried out.
//
// The files stand in an order, from planner.go at the top to the nouns at the bottom, and each uses only those below it. A reader who wants to know
//
//	why an instance was parked or stopped      lifecycle.go, and who calls it: decide.go (nobody needs it), claims.go (for others), limits.go (too late)
//	who says that an instance is gone          activator/roster/existence.go
//	where an instance is placed                room.go (numbered GPUs of a slot), noderoom.go (counted GPUs of a node)
//	who gives way for a slot                   slotroom.go
//	who must be parked or evicted for memory   parking.go
//	what a failure means                       blame.go
//	what those who wait are told               outlook.go
//	what those who look at the fleet are shown changes.go, of which view.go makes a whole elsewhere
//
// The package keeps no goroutine, channel, clock or log, and ranges over no map: time comes in, effects go out, so that a history replays. A Planner is
// not safe for concurrent use.
package plan
