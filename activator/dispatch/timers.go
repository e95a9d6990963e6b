package dispatch

import "time"

// timers is a heap of waiters by the moment at which something is due for them.
type timers []*Waiter

func (t *timers) first() *Waiter {
	if len(*t) == 0 {
		return nil
	}
	return (*t)[0]
}

// set enters the waiter, or moves it after a change of its moment.
func (t *timers) set(w *Waiter) {
	t.drop(w)
	if w.wakeAt() == 0 {
		return
	}
	w.timer = len(*t)
	*t = append(*t, w)
	t.up(w.timer)
}

func (t *timers) drop(w *Waiter) {
	i := w.timer
	if i < 0 {
		return
	}
	last := len(*t) - 1
	t.swap(i, last)
	(*t)[last] = nil
	*t = (*t)[:last]
	if i < last {
		t.down(i)
		t.up(i)
	}
	w.timer = -1
}

func (t *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.less(i, parent) {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(*t) {
			return
		}
		if child+1 < len(*t) && t.less(child+1, child) {
			child++
		}
		if !t.less(child, i) {
			return
		}
		t.swap(i, child)
		i = child
	}
}

func (t *timers) less(i, j int) bool { return (*t)[i].wakeAt() < (*t)[j].wakeAt() }

func (t *timers) swap(i, j int) {
	h := *t
	h[i], h[j] = h[j], h[i]
	h[i].timer, h[j].timer = i, j
}

// expired reports whether the last table is too old to grant by.
func (d *Dispatcher) expired(now time.Duration) bool { return !d.neverExpires && now >= d.expiry }
