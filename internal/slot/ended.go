package slot

// ended remembers the instances that have ended, so that none comes back: an id is never used again. It forgets the
// oldest of very many; a launch that late would have to be older than all of them.
type ended struct {
	launched map[string]actNumber // instance ID -> the launch that made it; zero = it was stopped before it was launched
	order    []string
}

const endedMost = 4096

func (g *ended) find(id string) (launched actNumber, ended bool) {
	launched, ended = g.launched[id]
	return launched, ended
}

func (g *ended) add(id string, launched actNumber) {
	if g.launched == nil {
		g.launched = map[string]actNumber{}
	}
	g.launched[id] = launched
	g.order = append(g.order, id)
	if len(g.order) > endedMost {
		delete(g.launched, g.order[0])
		g.order = g.order[1:]
	}
}
