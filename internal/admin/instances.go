package admin

import (
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Spec is what an instance is launched with. Amounts are written as in the config ("64GiB").
type Spec struct {
	GPUs           int              `json:"gpus"`
	MaxConcurrency int              `json:"max_concurrency"`
	ParkedMemory   string           `json:"parked_memory"` // host memory that it takes while it is parked
	Kind           fleet.EngineKind `json:"kind"`
	Args           []string         `json:"args"`
}

func (s *Server) listInstances(c *fiber.Ctx) error {
	now := s.c.Fleet.Snapshot()
	configured := modelsByID(now)
	return c.JSON(instanceList{each(now.Instances, func(i fleet.InstanceStatus) Instance { return s.instanceView(i, configured[i.Model]) })})
}

func modelsByID(now *fleet.Snapshot) map[string]*fleet.Model {
	models := make(map[string]*fleet.Model, len(now.Models)) // model ID -> model
	for _, m := range now.Models {
		models[m.Model.ID] = m.Model
	}
	return models
}

// instancesOf shows all instances of one model.
func (s *Server) instancesOf(now *fleet.Snapshot, m *fleet.Model) []Instance {
	views := []Instance{}
	for _, i := range now.Instances {
		if i.Model == m.ID {
			views = append(views, s.instanceView(i, m))
		}
	}
	return views
}

// instanceView shows an instance of a model as the config has it now; nil = it no longer has it.
func (s *Server) instanceView(i fleet.InstanceStatus, configured *fleet.Model) Instance {
	view := Instance{
		ID: i.ID, Model: i.Model, State: i.State, Phase: i.Phase, Slot: i.Slot, Node: i.Node, GPU: i.GPU, GPUs: i.GPUs, Addr: i.Addr,
		Leases: i.Leases, Breaker: i.Breaker, LaunchedAt: at(i.LaunchedAt), ReadyAt: at(i.ReadyAt),
		IdleSince: at(i.IdleSince), Failure: i.Failure,
	}
	if i.Slot == "" && s.c.JobName != nil {
		view.Job = s.c.JobName(i.Model, i.ID)
	}
	if i.Spec == nil {
		return view
	}
	view.Spec = specView(i.Spec)
	if configured == nil {
		return view
	}
	if now := specView(fleet.NewSpec(configured, 0)); !now.equal(view.Spec) {
		view.Configured = now
	}
	return view
}

func specView(s *fleet.Spec) *Spec {
	return &Spec{GPUs: s.GPUs, MaxConcurrency: s.MaxConcurrency, ParkedMemory: s.ParkedMemory.String(), Kind: s.Kind, Args: same(s.Args)}
}

func (s *Spec) equal(other *Spec) bool {
	return s.GPUs == other.GPUs && s.MaxConcurrency == other.MaxConcurrency && s.ParkedMemory == other.ParkedMemory &&
		s.Kind == other.Kind && slices.Equal(s.Args, other.Args)
}
