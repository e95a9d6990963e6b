//go:build !linux

package slot

// Outside Linux, what a killed supervisor leaves behind stays, and what an engine has started outside its process group
// too: engines in earnest run on Linux, and this much lets the simulator and small models run elsewhere.

func (c *child) finish() error {
	err := c.cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reaped = true
	return err
}

func mayOpen(*User, string) error { return nil }

func awaitGroup(int)               {}
func killMarked(string, *User) int { return 0 }
func startTime(int) uint64         { return 0 }
func bootID() string               { return "" }
