package nomad

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

const (
	anyPrefix = "pilotlight-" // of the jobs of every cluster
	jobDead   = "dead"
)

// Orphans lists what runs in the namespace as a Pilotlight's and is of another cluster, or of a pool or a model that is not in the config.
func (n *Nomad) Orphans(ctx context.Context) (orphans []fleet.Orphan, err error) {
	err = within(ctx, func(ctx context.Context) error {
		orphans, err = n.listOrphans(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing orphans: %w", blame(err))
	}
	return orphans, nil
}

func (n *Nomad) listOrphans(ctx context.Context) ([]fleet.Orphan, error) {
	q := n.query(ctx)
	q.Prefix = anyPrefix
	jobs, _, err := n.client.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, q)
	if err != nil {
		return nil, needs(err, listJobs)
	}
	allocations, err := n.liveAllocations(ctx)
	if err != nil {
		return nil, err
	}
	var orphans []fleet.Orphan
	for _, j := range jobs {
		o, ours := n.orphan(j.ID, j.Meta)
		if !ours || o.Why == "" || j.Stop || j.Status == jobDead {
			continue
		}
		o.Since = time.Unix(0, j.SubmitTime).UTC()
		if a := allocations[j.ID]; a != nil {
			o.Node, o.GPUs, o.Since = cmp.Or(a.NodeName, a.NodeID), a.gpus(), time.Unix(0, a.CreateTime).UTC()
		}
		orphans = append(orphans, o)
	}
	slices.SortFunc(orphans, func(a, b fleet.Orphan) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return orphans, nil
}

// liveAllocation is an allocation that holds something.
type liveAllocation struct {
	allocation
	NodeName   string
	CreateTime int64 // nanoseconds
}

// liveAllocations gives the newest allocation of each job that holds something: job ID -> allocation.
func (n *Nomad) liveAllocations(ctx context.Context) (map[string]*liveAllocation, error) {
	q := n.query(ctx)
	q.Params = map[string]string{"resources": "true"}
	q.Filter = `ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost" and JobID contains ` + strconv.Quote(anyPrefix)
	var list []*liveAllocation
	if _, err := n.client.Raw().Query("/v1/allocations", &list, q); err != nil {
		return nil, needs(err, readJob)
	}
	newest := make(map[string]*liveAllocation)
	for _, a := range list {
		if last := newest[a.JobID]; last == nil || last.CreateIndex < a.CreateIndex {
			newest[a.JobID] = a
		}
	}
	return newest, nil
}

// orphan says what a job is by its meta, and why nobody takes care of it; "" = the config does. ours is false where it is no Pilotlight's.
func (n *Nomad) orphan(id string, meta map[string]string) (o fleet.Orphan, ours bool) {
	o = fleet.Orphan{ID: id, Cluster: meta[metaCluster], Model: meta[metaModel], Pool: meta[metaPool]}
	switch {
	case o.Cluster == "":
		return o, false
	case meta[metaInstance] != "":
		o.Kind = fleet.OrphanInstance
	case meta[metaSlot] != "":
		o.Kind = fleet.OrphanSlot
	default:
		return o, false
	}
	_, pooled := n.pool(o.Pool)
	switch {
	case o.Cluster != n.cfg.Cluster:
		o.Why = fleet.OrphanOfCluster
	case o.Kind == fleet.OrphanSlot && !pooled:
		o.Why = fleet.OrphanOfPool
	case o.Kind == fleet.OrphanInstance && n.model(o.Model) == nil:
		o.Why = fleet.OrphanOfModel
	}
	return o, true
}

// StopOrphan stops one, and gives what it was. One of another cluster wants that cluster named, so that nobody stops a neighbour's by accident. What the
// config takes care of is refused, and so is what is no Pilotlight's: the errors wrap those of fleet.
func (n *Nomad) StopOrphan(ctx context.Context, id, cluster string) (o fleet.Orphan, err error) {
	err = within(ctx, func(ctx context.Context) error {
		o, err = n.stopOrphan(ctx, id, cluster)
		return err
	})
	if err != nil {
		return fleet.Orphan{}, fmt.Errorf("stopping %s: %w", id, blame(err))
	}
	n.log.Info("an orphan is stopped", "job", id, "cluster", o.Cluster, "kind", o.Kind)
	return o, nil
}

func (n *Nomad) stopOrphan(ctx context.Context, id, cluster string) (fleet.Orphan, error) {
	list, err := n.listOrphans(ctx)
	if err != nil {
		return fleet.Orphan{}, err
	}
	at := slices.IndexFunc(list, func(o fleet.Orphan) bool { return o.ID == id })
	if at < 0 {
		return fleet.Orphan{}, n.whyNot(ctx, id)
	}
	o := list[at]
	switch {
	case cluster != "" && cluster != o.Cluster:
		return o, fmt.Errorf("%w: it is of cluster %q, not of %q", fleet.ErrOtherCluster, o.Cluster, cluster)
	case cluster == "" && o.Why == fleet.OrphanOfCluster:
		return o, fmt.Errorf("%w: it is of cluster %q; name that one, if no Pilotlight of that name lives", fleet.ErrOtherCluster, o.Cluster)
	}
	return o, n.deregister(ctx, id)
}

// whyNot says why a job is no orphan.
func (n *Nomad) whyNot(ctx context.Context, id string) error {
	job, _, err := n.client.Jobs().Info(id, n.query(ctx))
	if status, _ := refusal(err); status == http.StatusNotFound {
		return fleet.ErrNoOrphan
	}
	if err != nil {
		return needs(err, readJob)
	}
	o, ours := n.orphan(id, job.Meta)
	switch {
	case !ours:
		return fmt.Errorf("%w: the job is no Pilotlight's", fleet.ErrNoOrphan)
	case o.Why != "":
		return fmt.Errorf("%w: it has ended, or is being stopped", fleet.ErrNoOrphan)
	case o.Kind == fleet.OrphanSlot:
		return fmt.Errorf("%w: it is a slot of pool %s", fleet.ErrCared, o.Pool)
	}
	return fmt.Errorf("%w: it is an instance of %s, which `pilotlight model stop` ends", fleet.ErrCared, o.Model)
}
