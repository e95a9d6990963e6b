// Package consul tells which of our instances Consul finds alive, registers the engines of a slot, and keeps the lock that lets one server of a
// cluster act.
//
// It promises good news as soon as Consul has it, and bad news only when there is reason to believe it. While Consul
// cannot be asked it says only that it is lost, so that its last word stands: Watch returns an error, and whoever follows it calls it
// again after a while. After such a break, or when Consul's index has run backwards, it tells incomplete observations, of
// passing instances alone, until Consul lists as passing whatever passed before, or has had the time to learn everything
// anew: a restarted agent begins with an empty list, or with every check critical. An answer that may lack something,
// for want of a leader or of rights, or because a part of it makes no sense, is incomplete as well.
//
// It takes engines out of Consul whose supervisor was killed: within a minute of that, and nothing else of anybody's.
//
// It never says that an instance is gone, or ready: existence is the back end's to say, readiness the probe's. It never
// reports a service of another Pilotlight.
package consul
