package upstream

import "time"

// send writes the request: in one write where it fits the buffer, which is empty now, else in one writev. An engine that
// has answered and closed before it read all of the body is heard: the answer is read in spite of the failed write.
func (c *Call) send(r *Request) error {
	k, length := c.conn, r.length()
	c.dispatched = c.now
	if r.Sent != nil {
		r.Sent.Sent(c.dispatched)
	}
	c.limit = c.deadline
	if r.FirstByte > 0 {
		c.limit = earlier(c.dispatched.Add(r.FirstByte), c.deadline)
	}
	if !k.near(c.limit, c.dispatched) {
		k.armBoth(c.limit)
	}
	err := c.write(r.appendHead(k.buf[:0], length), length, r.Body)
	if err == nil {
		return nil
	}
	c.broken = true
	if isTimeout(err) {
		return c.timeout(time.Now())
	}
	if c.aborted() == nil && c.fill() == nil {
		return nil
	}
	return c.fault("sending the request", err)
}

func (c *Call) write(head []byte, length int64, segments [][]byte) error {
	if len(head)+int(length) <= bufferSize {
		for _, s := range segments {
			head = append(head, s...)
		}
		return c.writeSmall(head)
	}
	c.conn.armBoth(c.limit) // a large body may well take long
	c.vectorBase = append(append(c.vectorBase[:0], head), segments...)
	c.vectors = c.vectorBase
	_, err := c.vectors.WriteTo(c.conn.nc)
	clear(c.vectorBase)
	return err
}

func (c *Call) writeSmall(b []byte) error {
	for {
		n, err := c.conn.sock.Write(b)
		if err == nil || !isTimeout(err) || !c.limit.After(c.conn.wrote) {
			return err
		}
		b = b[n:]
		c.conn.armBoth(c.limit)
	}
}

// fill reads once into the buffer, which has room. It waits until the limit.
func (c *Call) fill() error {
	k := c.conn
	for {
		n, err := k.sock.Read(k.buf[k.w:])
		if n > 0 {
			k.w += n
			c.answered, c.heard = true, time.Now()
			return nil
		}
		if err == nil {
			continue
		}
		if !isTimeout(err) {
			return err
		}
		now := time.Now()
		if c.limit.IsZero() || !now.Before(c.limit) {
			return c.timeout(now)
		}
		if !c.by.IsZero() && !now.Before(c.by) {
			return ErrNotYet
		}
		k.arm(sooner(c.limit, c.by)) // the deadline in force lay before
	}
}

// timeout says which limit has passed.
func (c *Call) timeout(now time.Time) error {
	switch {
	case !c.deadline.IsZero() && !now.Before(c.deadline):
		return ErrDeadline
	case !c.begun:
		return ErrFirstByteTimeout
	}
	return ErrIdleTimeout
}

// fault says what a failed read or write means to the caller.
func (c *Call) fault(where string, err error) error {
	if cause := c.aborted(); cause != nil {
		return cause
	}
	if expired(err) {
		return err
	}
	return cut(where, err)
}

func expired(err error) bool {
	return err == ErrDeadline || err == ErrFirstByteTimeout || err == ErrIdleTimeout || err == ErrNotYet
}

// await sets how long the next read of the body may wait. Once the body has begun that is the silence allowed from now
// on: the time that the caller took to pass on what it had is not the engine's. The deadline in force is moved only when
// less than half is left, since moving it costs more than a look at the clock; fill puts an early one right.
func (c *Call) await() {
	if !c.begun {
		return // the limit that send has set
	}
	k := c.conn
	now := time.Now()
	switch {
	case c.still: // the silence goes on
	case c.idle > 0:
		c.limit = earlier(now.Add(c.idle), c.deadline)
	default:
		c.limit = c.deadline
	}
	until := sooner(c.limit, c.by)
	if until.IsZero() || k.armed.IsZero() || k.armed.After(until) || k.armed.Sub(now) < until.Sub(now)/2 {
		k.arm(until)
	}
}

// sooner is earlier for two times of which either may be zero for never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return earlier(a, b)
}

// earlier gives the earlier of two times, of which b may be zero for never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
