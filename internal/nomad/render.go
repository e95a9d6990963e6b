package nomad

import (
	"fmt"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	nomadjobs "github.com/pilotlight-io/pilotlight/nomad-jobs"
)

const rawExec = "raw_exec"

// Render gives the job that an instance of the model needs as text that `nomad job run` takes: its own, or that of a slot of its pool. It is what
// Do submits, except that the instance, or the slot, is called "manual", and that it has no term: it is of no server.
func (n *Nomad) Render(model string) (string, error) {
	m := n.model(model)
	if m == nil {
		return "", fmt.Errorf("rendering the job of %s: %w", model, ErrUnknownModel)
	}
	if _, pooled := n.pool(m.Pool); pooled {
		return n.RenderSlot(m.Pool, "manual")
	}
	return n.render(m, fleet.Act{Instance: "manual"})
}

// render gives the job of the instance that an act launches: the file of the model's driver with its values as defaults.
func (n *Nomad) render(m *fleet.Model, act fleet.Act) (string, error) {
	launch, err := engine.CommandAt(m, "${NOMAD_IP_engine}", "${NOMAD_PORT_engine}", n.cfg.Self)
	if err != nil {
		return "", err
	}
	spec, err := formatSpec(fleet.NewSpec(m, act.Parked))
	if err != nil {
		return "", err
	}
	env := make(map[string]string)
	for _, entry := range launch.Env {
		key, value, _ := strings.Cut(entry, "=")
		env[key] = value
	}
	values := nomadjobs.Values{
		"cluster": n.cfg.Cluster, "model": m.ID, "instance": act.Instance, "spec": spec, "term": termOf(act),
		"region": n.cfg.Region, "namespace": n.cfg.Namespace, "datacenters": n.cfg.Datacenters, "node_pool": n.cfg.NodePool,
		"gpus": m.GPUs, "command": []string{launch.Path}, "args": launch.Args, "env": env,
		"secrets": m.Engine.Secrets, "health": engine.HealthPath(m.Engine.Kind),
	}
	if m.Engine.Memory > 0 {
		values["memory"] = int(m.Engine.Memory >> 20)
	}
	if m.Engine.CPU > 0 {
		values["cpu"] = m.Engine.CPU
	}
	if m.Engine.Driver == rawExec {
		return nomadjobs.Render(nomadjobs.DedicatedRaw, values)
	}
	values["volumes"] = m.Engine.Volumes
	if m.Engine.Image != "" {
		values["image"] = m.Engine.Image
	}
	return nomadjobs.Render(nomadjobs.Dedicated, values)
}

// termOf is an act's term as a job file has it: "" where nobody minds terms.
func termOf(act fleet.Act) string {
	if act.Term == 0 {
		return ""
	}
	return formatTerm(act.Term)
}
