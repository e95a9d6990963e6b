package engine

import "time"

// KnockPause is the pause after so long a wait.
var KnockPause = knockPause

// SetQuiet shortens the quiet after which an engine that counts its iterations is taken for idle.
func (l *Load) SetQuiet(d time.Duration) { l.quiet = d }
