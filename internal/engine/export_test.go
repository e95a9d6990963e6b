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
