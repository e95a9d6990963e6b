package activator

import "time"

// timers is a heap of waiters by the moment at which something is due for them.
type timers []*Waiter

// wake gives the moment at which the waiter must be looked at: its deadline, or the end of its avoidance.
func (p *place) wake() time.Duration {
	if p.avoidUntil > 0 && (p.deadline == 0 || p.avoidUntil < p.deadline) {
		return p.avoidUntil
	}
	return p.deadline
}

func (t *timers) first() *Waiter {
	if len(*t) == 0 {
		return nil
	}
	return (*t)[0]
}

// set enters the waiter, or moves it after a change of its moment.
func (t *timers) set(w *Waiter) {
	t.drop(w)
	if w.place.wake() == 0 {
		return
	}
	w.place.timer = len(*t)
	*t = append(*t, w)
	t.up(w.place.timer)
}

func (t *timers) drop(w *Waiter) {
	i := w.place.timer
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
	w.place.timer = -1
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

func (t *timers) less(i, j int) bool { return (*t)[i].place.wake() < (*t)[j].place.wake() }

func (t *timers) swap(i, j int) {
	h := *t
	h[i], h[j] = h[j], h[i]
	h[i].place.timer, h[j].place.timer = i, j
}
