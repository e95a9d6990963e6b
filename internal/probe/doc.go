// Package probe finds out when an engine that a back end has placed elsewhere is ready.
//
// It promises to ask each dedicated instance from the moment its address is known until the engine has generated one token, and to
// say so at once. When a source of liveness misses an instance that was ready, it asks that engine again before anyone
// acts: an engine whose health path still answers is alive, one that refuses connections, or says nothing for a while, is not.
//
// It never asks an instance that a slot supervises, or that its back end has stopped listing, it decides about nothing,
// and no goroutine of it outlives Watch.
package probe
