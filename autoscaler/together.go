package autoscaler

import (
	"fmt"
	"slices"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	risesAfter     = 30 * time.Second // without a request: the next one is a rise
	followsWithin  = 30 * time.Second // a call that comes so soon behind another model's rise may follow it
	leadersMost    = 4                // that are remembered of a model
	followersMost  = 8                // of a leader
	risesMost      = 16               // that are remembered of the whole fleet
	delaysKept     = 8
	delaySlack     = 1.25 // times the longest of the last delays a call is waited for
	followerTrials = 10   // rises, before a wake ahead is acted on
	followerWeight = 0.05 // of the newest rise: chance alone makes a few in a row
	followsAtOnce  = 100 * time.Millisecond
)

// rise is a model's first request after a while.
type rise struct {
	model string
	at    time.Time
}

// leader is a model whose rise another one tends to follow: an agent's planner and its worker, or a router and what it routes to. As with a rhythm, what a wake ahead would have saved and
// for how long it would have held GPUs is noted for each rise, whether or not there was one, so that models which rise together by chance teach by themselves that waking ahead does not pay.
type leader struct {
	Model  string
	Delays []time.Duration // from its rise to the call, the last ones, oldest first
	Trials int
	Saved  float64 // share of the rises behind which a wake ahead would have spared a wait, smoothed
	Held   float64 // seconds that it would have held the GPUs before the call, or in vain, smoothed
	rose   time.Time
}

// window gives how long after a rise the call is waited for.
func (l *leader) window() time.Duration {
	return max(time.Duration(delaySlack*float64(slices.Max(l.Delays))), time.Second)
}

func (l *leader) judge(saved, held float64) {
	l.Trials++
	weight := max(followerWeight, 1/float64(l.Trials))
	l.Saved += weight * (saved - l.Saved)
	l.Held += weight * (held - l.Held)
	l.rose = time.Time{}
}

// followed notes a call behind the leader's rise.
func (l *leader) followed(now time.Time, t moves) {
	delay := now.Sub(l.rose)
	switch {
	case delay > l.window():
		l.missed(t)
	case t.Wake <= 0:
		l.judge(1, delay.Seconds())
	default:
		l.judge(min(1, delay.Seconds()/t.Wake.Seconds()), max(0, (delay-t.Wake).Seconds()))
	}
	l.learn(delay)
}

func (l *leader) learn(delay time.Duration) {
	if len(l.Delays) == delaysKept {
		l.Delays = slices.Delete(l.Delays, 0, 1)
	}
	l.Delays = append(l.Delays, delay)
}

func (l *leader) missed(t moves) { l.judge(0, (t.Wake + l.window() + t.Park).Seconds()) }

// pays reports whether a wake behind the leader's rise is worth it, where a call costs so much that finds the model asleep, in GPU-seconds.
func (l *leader) pays(gpus, asleep float64) bool {
	return l.Trials >= followerTrials && l.Saved*asleep > rhythmMargin*l.Held*gpus
}

// rises notes a model's rise, for those who may follow it.
func (a *Adaptive) rises(now time.Time, id string, m *knowledge) {
	for _, name := range m.followers {
		f := a.models[name]
		if l := f.leader(id); l != nil {
			if !l.rose.IsZero() {
				l.missed(f.Moves)
			}
			l.rose = now
		}
	}
	if len(a.lately) == risesMost {
		a.lately = slices.Delete(a.lately, 0, 1)
	}
	a.lately = append(a.lately, rise{id, now})
}

// follows notes a call that found the model put to sleep, or would have, behind what rose lately.
func (a *Adaptive) follows(now time.Time, id string, m *knowledge) {
	for i := range a.lately {
		r := &a.lately[i]
		delay := now.Sub(r.at)
		if r.model == id || delay > followsWithin {
			continue
		}
		l := m.leader(r.model)
		switch {
		case l == nil:
			a.suspect(id, m, r.model, delay)
		case l.rose.Equal(r.at):
			l.followed(now, m.Moves)
		}
	}
}

// suspect remembers a leader, in place of the least useful one that had its trials.
func (a *Adaptive) suspect(id string, m *knowledge, leads string, delay time.Duration) {
	of := a.model(leads)
	if len(of.followers) >= followersMost {
		return
	}
	if len(m.Leaders) >= leadersMost {
		worst := -1
		for i := range m.Leaders {
			if l := &m.Leaders[i]; l.Trials >= followerTrials && (worst < 0 || l.Saved < m.Leaders[worst].Saved) {
				worst = i
			}
		}
		if worst < 0 || m.Leaders[worst].Saved > 0.5 {
			return
		}
		old := a.model(m.Leaders[worst].Model)
		old.followers = slices.DeleteFunc(old.followers, func(name string) bool { return name == id })
		m.Leaders = slices.Delete(m.Leaders, worst, worst+1)
	}
	m.Leaders = append(m.Leaders, leader{Model: leads, Delays: []time.Duration{delay}})
	of.followers = append(of.followers, id)
}

// leader gives what is known of the model as one that this one follows; nil = nothing.
func (m *knowledge) leader(id string) *leader {
	for i := range m.Leaders {
		if m.Leaders[i].Model == id {
			return &m.Leaders[i]
		}
	}
	return nil
}

// wakeFollower wishes a parked model awake behind the rise of one that it follows, where that pays.
func (a *Adaptive) wakeFollower(now time.Time, v *fleet.ModelView, m *knowledge, t moves, d *fleet.Desired) {
	if demand(v) > 0 || len(v.Hot)+v.Pending+v.Parked == 0 {
		return
	}
	waits := t.Wake.Seconds() * m.Wakes.value()
	for i := range m.Leaders {
		l := &m.Leaders[i]
		until := l.rose.Add(l.window())
		if l.rose.IsZero() || !now.Before(until) || !l.pays(float64(v.Model.GPUs), a.weight(v)*waits) {
			continue
		}
		if len(v.Hot) == 0 {
			d.HotValue = l.Saved * waits
		}
		d.Hot, d.ReviewAt = max(d.Hot, 1), sooner(d.ReviewAt, until)
		d.Reason = fmt.Sprintf("a request is expected within %s: %s was called, and this model mostly is soon after", round(until.Sub(now)), l.Model)
	}
}

// risen gives those that may follow the model, which has risen just now.
func (a *Adaptive) risen(now time.Time, id string, m *knowledge) []string {
	if n := len(a.lately); len(m.followers) == 0 || n == 0 || a.lately[n-1].model != id || now.Sub(a.lately[n-1].at) > followsAtOnce {
		return nil
	}
	return m.followers
}
