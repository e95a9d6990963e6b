package engine

// KnockPause is the pause after so long a wait.
var KnockPause = knockPause
