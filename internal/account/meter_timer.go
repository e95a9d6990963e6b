package account

import "time"

// fire is called by the timer: soon after a budget is used up, or a part of it of which is told, and sooner.
func (m *meter) fire() {
	asked := time.Now()
	m.draw(func(leave map[Period]bool) (Period, bool) { // for what nothing was asked, nothing is ended
		asked = time.Now()
		return m.lacks(asked, leave)
	})
	m.lookBehind(time.Now(), asked)
}

// look does what is due.
func (m *meter) look(now time.Time) { m.lookBehind(now, now) }

// lookBehind is look that ends what was due at a moment before.
func (m *meter) lookBehind(now, before time.Time) {
	m.lock()
	defer m.mu.Unlock()
	at := m.all.since(now)
	m.armed = never
	m.each(func(s *spending) { s.budget.clock(m.all, now) })
	m.expire(m.all.since(before) - int64(late))
	m.each(func(s *spending) {
		for _, p := range s.periods {
			m.tell(p, at, false)
			m.renew(p, at)
			m.arm(m.due(p, at), at)
		}
	})
}

// idleTimer makes a timer that is not set.
func idleTimer(fire func()) *time.Timer {
	t := time.AfterFunc(time.Hour, fire)
	t.Stop()
	return t
}

// arm has the timer fire at a moment, or sooner. One that fires for nothing costs little.
func (m *meter) arm(due, now int64) {
	if m.timer == nil || due >= m.armed {
		return
	}
	m.armed = max(due, now)
	m.timer.Reset(time.Duration(m.armed - now))
}

// due is when a period is to be looked at next, if nothing happens until then.
func (m *meter) due(p *period, now int64) int64 {
	if p.runs == 0 {
		return never
	}
	b := &p.of.budget
	due := min(later(p.lasts(p.nextLevel(now)), 1), m.renewal(p))
	if !b.Soft {
		end := max(p.lasts(m.allowed(p, now)), p.floor)
		if end-now < int64(late) { // then the bound is not near enough
			if used, over := m.usedUp(p, now+int64(time.Minute)); over {
				end = used
			} else {
				end = now + int64(time.Minute)
			}
		}
		due = min(due, later(end, int64(late)+1))
	}
	if now < b.end { // a raise's: looked at now and then, because the clock may be set
		due = min(due, later(b.end, int64(late)+1), now+int64(time.Minute))
	}
	return max(due, now+int64(late)/2)
}
