package edge

import (
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// floodLeast is how many connections have to be open for their end to be worth giving memory back.
	floodLeast = 128
	// ebbWait is how long after a flood memory is given back: its last requests have ended by then, and another flood would have begun.
	ebbWait = 2 * time.Second
)

// ebb gives the memory of a flood of connections back to the system. The runtime would keep it for minutes: it collects by the growth of the heap, of
// which there is none then. It is guarded by its Connections' mu.
type ebb struct {
	most  int // connections open at once since memory was given back last
	timer *time.Timer
}

// opened is told how many connections are open when one has come.
func (e *ebb) opened(n int) { e.most = max(e.most, n) }

// closed is told how many are open when one has gone. A quarter of the most is the end of a flood.
func (e *ebb) closed(n int) {
	if e.most < floodLeast || n > e.most/4 {
		return
	}
	e.most = n
	if e.timer == nil {
		e.timer = time.AfterFunc(ebbWait, giveBack)
		return
	}
	e.timer.Reset(ebbWait)
}

// stop is called once no connection is left.
func (e *ebb) stop() {
	if e.timer != nil {
		e.timer.Stop()
	}
}

// giveBack collects twice, because pools keep what is in them for one collection more.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}
