// Package faultsim plays histories of simulated worlds, full of faults, from seeds. It is for tests.
//
// A world is a function that builds real machines among simulated surroundings, and has things happen to them in virtual time; it gives an error where a
// promise was broken. Whatever it leaves to chance it draws from a Tape, so that one seed is one history, bit for bit: each run plays its first seed twice to
// hold that. A tape falls into blocks: the setup,
// one for each thing that happens, and the calm at the end, in which no more faults happen and everything has to come to rest.
//
// Each history leaves out some kinds of faults, drawn with its setup (swarm testing): what happens only where something else does not is found, too.
//
// Where a history breaks a promise, blocks are taken out of its tape for as long as what is left breaks one: the shortest that was found is printed, with the
// command that plays it again. Worlds count the rare states that they have reached; a run that never reached one says so, and has failed if it was long.
package faultsim
