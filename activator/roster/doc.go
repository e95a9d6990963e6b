// Package roster keeps what exists: the nodes, slots and instances of a cluster, who says so, and whether they can be reached. It takes the
// raw observations of all sources and gives one fleet, as changes. It is the only place where an instance is adopted or taken for gone.
//
// Who is believed for what:
//
//	source                          existence                readiness        liveness
//	that lists nodes (Nomad)        nodes, slots, dedicated  no               no
//	a slot's supervisor             its engines              its engines      its engines
//	the probe                       no                       yes              confirms or denies what another source says
//	any other (Consul)              no                       no               raises a suspicion
//
// Three rules say when something is gone, and there is no fourth:
//
//   - a complete list of the source that is believed for its existence, and that had listed it before, no longer has it, or says so;
//   - its launch was never seen, its stop was accepted, and a complete list that was asked for since does not have it;
//   - its slot is gone: then so is everything on it, launches that are on their way included.
//
// A source that cannot be reached keeps its last word: nothing that it listed is taken for gone meanwhile. An instance that is missed where
// liveness is told, and that still answers the probe, stays: a Consul agent that restarts forgets its services while their engines go on.
//
// A Roster reads no clock, keeps no goroutine and ranges over no map, so that a history replays. It is not safe for concurrent use.
package roster
