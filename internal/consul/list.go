package consul

import (
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// observation reads a list. It is complete if nothing casts doubt on the list, nor on an entry of ours.
func (c *Consul) observation(asked time.Time, a answer) fleet.Observation {
	o := fleet.Observation{Source: Source, At: asked}
	doubt := a.doubt
	at := make(map[string]int) // instance ID -> index in the list
	for _, e := range a.entries {
		switch {
		case e == nil || e.Service == nil:
			doubt = "an entry without a service"
			continue
		case e.Service.Meta[MetaCluster] != c.cfg.Cluster:
			continue
		}
		s, sound := sighting(e)
		if !sound {
			doubt = "service " + e.Service.ID + " makes no sense"
			continue
		}
		if n, double := at[s.ID]; double { // a node that was replaced lists what its successor does: one that passes is alive
			if s.Health == fleet.Passing {
				o.Instances[n] = s
			}
			continue
		}
		at[s.ID] = len(o.Instances)
		o.Instances = append(o.Instances, s)
	}
	o.Complete = doubt == ""
	if doubt != c.doubt && doubt != "" {
		c.cfg.Log.Warn("consul's answer may lack something", "reason", doubt)
	}
	c.doubt = doubt
	return o
}

// sighting reads one entry of ours; unsound ones do not say who or where they are.
func sighting(e *api.ServiceEntry) (s fleet.Sighting, sound bool) {
	host := e.Service.Address
	if host == "" && e.Node != nil {
		host = e.Node.Address
	}
	id, model := e.Service.Meta[MetaInstance], e.Service.Meta[MetaModel]
	if id == "" || model == "" || host == "" || e.Service.Port <= 0 || slices.Contains(e.Checks, nil) {
		return fleet.Sighting{}, false
	}
	s = fleet.Sighting{
		Instance: fleet.Instance{ID: id, Model: model, Addr: net.JoinHostPort(host, strconv.Itoa(e.Service.Port))},
		Health:   health(e.Checks),
		Running:  fleet.Unasked,
	}
	if s.Health == fleet.Passing {
		s.Phase = fleet.PhaseReady // as far as checks can tell
	}
	return s, true
}

// health sums up the checks of a service and of its node. A warning passes, as it does for Consul itself; a status that is
// unknown does not.
func health(checks api.HealthChecks) fleet.Health {
	for _, c := range checks {
		if c.Status != api.HealthPassing && c.Status != api.HealthWarning {
			return fleet.Critical
		}
	}
	return fleet.Passing
}
