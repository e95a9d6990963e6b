package upstream

import (
	"context"
	"fmt"
	"slices"
	"syscall"
)

// errFull says that there are as many connections as there may be: of the process's descriptors, the rest is kept for others.
var errFull = fmt.Errorf("all connections to engines that there may be are in use: %w", syscall.EMFILE)

// Open is how many connections there are, idle ones and dials under way included.
func (c *Client) Open() int { return int(c.open.Load()) }

// take has there be one connection more, once there may be; for that it waits as long as a dial may take. Who comes first has it first.
func (c *Client) take(ctx context.Context) error {
	c.mu.Lock()
	if len(c.waiting) == 0 && c.fits() {
		c.open.Add(1)
		c.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	c.waiting = append(c.waiting, mine)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiting, mine); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	} else {
		c.release() // it came too late
	}
	return errFull
}

// fits reports whether there may be one more, and closes what is idle for it. Mu is held, and nobody waits.
func (c *Client) fits() bool {
	if c.cfg.MaxConns == nil {
		return true
	}
	most := int64(c.cfg.MaxConns())
	if c.open.Load() >= most {
		c.dropAll()
	}
	return c.open.Load() < most
}

// release has there be one less, or gives it to who waits. Mu is held.
func (c *Client) release() {
	if len(c.waiting) == 0 {
		c.open.Add(-1)
		return
	}
	close(c.waiting[0])
	c.waiting = slices.Delete(c.waiting, 0, 1)
}

// end closes a connection that is in use.
func (c *Client) end(k *conn) {
	k.nc.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
}

// drop closes those of an engine's idle connections that have been idle longest. Mu is held.
func (c *Client) drop(h *host, most int) {
	for _, k := range h.idle[:most] {
		k.nc.Close()
		c.release()
	}
	h.idle = slices.Delete(h.idle, 0, most)
}

// dropAll closes all that is idle, and reports whether there was any. Mu is held.
func (c *Client) dropAll() (some bool) {
	for addr, h := range c.hosts {
		some = some || len(h.idle) > 0
		c.drop(h, len(h.idle))
		c.forget(addr, h)
	}
	return some
}
