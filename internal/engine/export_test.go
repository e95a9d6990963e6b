package engine

import (
	"context"
	"time"
)

// PauseAfter is the pause after so long a wait.
var PauseAfter = pauseAfter

// NewPace gives the wait for the next look at an engine that is loading.
func NewPace(output <-chan struct{}) func(context.Context) error { return newPace(output).await }

// SetQuiet shortens the quiet after which an engine that counts its iterations is taken for idle.
func (l *Load) SetQuiet(d time.Duration) { l.quiet = d }

// NewKnocker gives what asks whether a connection is refused, and what ends it.
func NewKnocker(addr string) (refused func() bool, end func()) {
	k := newKnocker(addr)
	return k.refused, k.close
}
