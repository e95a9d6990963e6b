package plan

// unshown lists what has changed since the last Changes.
type unshown struct {
	all    bool // everything is to be shown: nobody has looked yet, or not for long
	models []*model
	slots  []*slot
	gone   []uint64
	pools  bool
	nodes  bool
}

// goneMost bounds what is remembered for a reader who may never come.
const goneMost = 4096

func (u *unshown) model(m *model) {
	if !m.unshown && !u.all {
		m.unshown = true
		u.models = append(u.models, m)
	}
}

func (u *unshown) slot(s *slot) {
	if !s.unshown && !u.all {
		s.unshown = true
		u.slots = append(u.slots, s)
	}
}

func (u *unshown) place(at place) {
	switch p := at.(type) {
	case *slot:
		u.slot(p)
	case *node:
		u.nodes = true
	}
}

func (u *unshown) instanceGone(i *instance) {
	if u.all {
		return
	}
	if u.gone = append(u.gone, i.number); len(u.gone) > goneMost {
		u.shown()
		u.all = true
	}
}

// shown forgets what was listed.
func (u *unshown) shown() {
	for _, m := range u.models {
		m.unshown = false
	}
	for _, s := range u.slots {
		s.unshown = false
	}
	clear(u.models)
	clear(u.slots)
	u.all, u.models, u.slots, u.gone, u.pools, u.nodes = false, u.models[:0], u.slots[:0], nil, false, false
}
