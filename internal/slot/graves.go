package slot

// graves remembers the instances that have ended, so that none comes back: an id is never used again. It forgets the
// oldest of very many; a launch that late would have to be older than all of them.
type graves struct {
	launched map[string]mark // instance ID -> the launch that made it; zero = it was stopped before it was launched
	order    []string
}

const gravesMost = 4096

func (g *graves) find(id string) (launched mark, ended bool) {
	launched, ended = g.launched[id]
	return launched, ended
}

func (g *graves) dig(id string, launched mark) {
	if g.launched == nil {
		g.launched = map[string]mark{}
	}
	g.launched[id] = launched
	g.order = append(g.order, id)
	if len(g.order) > gravesMost {
		delete(g.launched, g.order[0])
		g.order = g.order[1:]
	}
}
