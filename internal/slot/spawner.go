package slot

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives as long as they do. Linux sends a child the signal that it is to get
// at its parent's death when the *thread* that created it ends, and Go ends threads as it likes, but not one that a goroutine has
// locked.
type spawner struct {
	orders chan order
}

type order struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner { return &spawner{orders: make(chan order)} }

// run serves until close.
func (p *spawner) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for o := range p.orders {
		o.done <- o.cmd.Start()
	}
}

// close ends run. No start may be under way, and every child must have ended.
func (p *spawner) close() { close(p.orders) }

func (p *spawner) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	p.orders <- order{cmd, done}
	return <-done
}
