package nomad

import (
	"cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// catalogue is the models and pools of one config. It is immutable.
type catalogue struct {
	list   []*fleet.Model
	models map[string]*fleet.Model // model ID -> model
	pools  map[string]fleet.Pool   // its name -> pool
	slots  map[string]*slotSpec    // pool -> what its slots are to have; absent where its models do not agree
}

// Configure has later launches and slots be of these models and pools. What runs stays what it was launched as. It is safe for concurrent use.
func (n *Nomad) Configure(models []*fleet.Model, pools []fleet.Pool) {
	c := &catalogue{
		list: models, models: make(map[string]*fleet.Model, len(models)), pools: make(map[string]fleet.Pool, len(pools)),
		slots: make(map[string]*slotSpec, len(pools)),
	}
	for _, m := range models {
		c.models[m.ID] = m
	}
	for _, q := range pools {
		c.pools[q.Name] = q
	}
	for _, q := range pools {
		if s, err := n.slotSpecOf(q, models); err == nil {
			c.slots[q.Name] = s
		}
	}
	n.serving.Store(c)
	n.AskAgain(Source) // whoever plans is to learn which slots lack something now
}

// model is the model as it is configured now, nil where there is none.
func (n *Nomad) model(id string) *fleet.Model { return n.serving.Load().models[id] }

// pool is the pool as it is configured now.
func (n *Nomad) pool(name string) (q fleet.Pool, known bool) {
	q, known = n.serving.Load().pools[name]
	return q, known
}

// poolOf is the node pool of a pool's slots.
func (n *Nomad) poolOf(pool string) string {
	q, _ := n.pool(pool)
	return cmp.Or(q.NodePool, n.cfg.NodePool)
}
