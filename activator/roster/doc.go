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
// A slot is gone when a complete list of the source that lists it does not have it. One that was given back before anybody had listed it, and one of which
// only its supervisor has told, is gone when a list of slots that was asked for since does not have it. Until a slot is listed, and has itself given a
// complete list of what is there, it takes no launches.
//
// Slots are known once they were listed, and each that runs has given its list, or was lost or silent for 10 s; nothing that this life has added is waited
// for. A slot's condition is the worst of its node's, its own, and that it cannot be reached.
//
// A source that cannot be reached keeps its last word: nothing that it listed is taken for gone meanwhile. An instance that is missed where
// liveness is told, and that still answers the probe, stays: a Consul agent that restarts forgets its services while their engines go on.
//
// A Roster reads no clock, keeps no goroutine and ranges over no map, so that a history replays. It is not safe for concurrent use.
package roster
