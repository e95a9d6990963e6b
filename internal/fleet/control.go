package fleet

import (
	"context"
	"time"
)

// Control is what operators' surfaces, the admin API and the console, ask of the fleet. The activator is one. All methods may be called from any goroutine.
type Control interface {
	Snapshot() *Snapshot
	Explain(model string) (Explanation, error)
	// Hold keeps the model hot for d (0 = its idle_after), starting it if need be.
	Hold(model string, d time.Duration) error
	// StopModel ends a hold and takes the model's instances away: those that serve finish first.
	StopModel(model string) error
	// Waiting gives who waits for a model ("" = for any), at most so many, and how many there are in all.
	Waiting(model string, limit int) (list []Waiting, all int)
	ServeFirst(model, org, request string) bool
	EndWaiting(model, org, request string) (ended int)
	// Follow calls f for every notice after the given ID, first those that are remembered. It blocks until ctx is done (and returns its cause) or f returns
	// an error (and returns that).
	Follow(ctx context.Context, after uint64, f func(Notice) error) error
}
