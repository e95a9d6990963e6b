// Package probe finds out when an engine that a back end has placed elsewhere is ready, and whether it still answers.
//
// It promises to ask each dedicated instance from the moment its address is known until the engine has generated one token, and to
// say so at once. From then on it looks after the engine as a slot's supervisor looks after its own: one that hangs has failed. When a source of
// liveness misses an instance that was ready, in a slot or not, it asks that engine again before anyone acts: an engine whose health path still
// answers is alive, one that refuses connections, or says nothing for a while, is not.
//
// It never asks of its own accord an instance that a slot supervises, nor any that its back end has stopped listing, it decides about nothing,
// and no goroutine of it outlives Watch.
package probe
