package nomad

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

// readAll reads everything anew, from a server that answers soon. Allocations are read before jobs: so no allocation of ours is without its job, and
// taken for another's.
func (w *watch) readAll(ctx context.Context) error {
	w.asked = time.Now()
	return within(ctx, func(ctx context.Context) error {
		if err := w.readNodes(ctx); err != nil {
			return err
		}
		if err := w.readAllocations(ctx); err != nil {
			return err
		}
		if err := w.readEvaluations(ctx); err != nil {
			return err
		}
		if err := w.readJobs(ctx); err != nil {
			return err
		}
		return w.readDetails(ctx)
	})
}

func (w *watch) readNodes(ctx context.Context) error {
	var list []*node
	q := w.n.query(ctx)
	q.Params = map[string]string{"resources": "true"}
	meta, err := w.n.client.Raw().Query("/v1/nodes", &list, q)
	if err != nil {
		return needs(err, readNode)
	}
	if w.state.setNodes(list) {
		w.returnedAt = w.asked
	}
	w.state.read[api.TopicNode] = meta.LastIndex
	return nil
}

// readAllocations reads those of all namespaces that hold something, and all of ours; of our namespace alone where the token may not see more.
func (w *watch) readAllocations(ctx context.Context) error {
	var list []*allocation
	q := w.n.query(ctx)
	q.Namespace = w.namespace
	q.Params = map[string]string{"resources": "true"}
	q.Filter = `(ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost") or JobID contains ` + strconv.Quote(w.n.prefix())
	meta, err := w.n.client.Raw().Query("/v1/allocations", &list, q)
	if status, _ := refusal(err); status == http.StatusForbidden && w.narrow() {
		return w.readAllocations(ctx)
	}
	if err != nil {
		return needs(err, readJob)
	}
	w.state.setAllocations(list)
	w.state.read[api.TopicAllocation] = meta.LastIndex
	return nil
}

// narrow looks at our namespace alone from now on, and reports whether that changes anything: others' use of GPUs is then
// known in that namespace only, and Nomad itself says where there is no room.
func (w *watch) narrow() bool {
	before := w.namespace
	w.namespace = w.n.cfg.Namespace
	return before != w.namespace
}

// readEvaluations reads which tries to place a job have failed.
func (w *watch) readEvaluations(ctx context.Context) error {
	var list []*evaluation
	q := w.n.query(ctx)
	q.Filter = `FailedTGAllocs is not empty and JobID contains ` + strconv.Quote(w.n.prefix())
	meta, err := w.n.client.Raw().Query("/v1/evaluations", &list, q)
	if err != nil {
		return needs(err, readJob)
	}
	w.state.setEvaluations(list)
	w.state.read[api.TopicEvaluation] = meta.LastIndex
	return nil
}

func (w *watch) readJobs(ctx context.Context) error {
	var list []*job
	q := w.n.query(ctx)
	q.Prefix = w.n.prefix()
	q.Params = map[string]string{"meta": "true"}
	meta, err := w.n.client.Raw().Query("/v1/jobs", &list, q)
	if err != nil {
		return needs(err, listJobs)
	}
	w.state.setJobs(list)
	w.state.read[api.TopicJob] = meta.LastIndex
	return nil
}

// readDetails reads what lists do not say, of the few jobs where it matters: of one that has no node what it wants, and of one that somebody has
// modified how many allocations.
func (w *watch) readDetails(ctx context.Context) error {
	for _, j := range w.state.jobs {
		if err := w.readDetail(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// readChanged is readDetails for what has changed.
func (w *watch) readChanged(ctx context.Context) error {
	return within(ctx, func(ctx context.Context) error {
		for id := range w.changes.jobs {
			if j := w.state.jobs[id]; j != nil {
				if err := w.readDetail(ctx, j); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (w *watch) readDetail(ctx context.Context, j *job) error {
	unplaced := w.state.failures[j.ID] != nil && w.state.allocation(j) == nil
	if j.Stop || j.TaskGroups != nil || !unplaced && !j.modified() {
		return nil
	}
	var full job
	_, err := w.n.client.Raw().Query("/v1/job/"+url.PathEscape(j.ID), &full, w.n.query(ctx))
	if status, _ := refusal(err); status == http.StatusNotFound {
		return nil // the next list does not have it
	}
	if err != nil {
		return needs(err, readJob)
	}
	if full.ModifyIndex >= j.ModifyIndex {
		w.state.putJob(&full)
	}
	return nil
}

// startIndex gives an index that is not newer than what a list of now has.
func (w *watch) startIndex(ctx context.Context) (index uint64, err error) {
	err = within(ctx, func(ctx context.Context) error {
		var list []*job
		q := w.n.query(ctx)
		q.Prefix, q.PerPage = w.n.prefix(), 1
		meta, err := w.n.client.Raw().Query("/v1/jobs", &list, q)
		if err != nil {
			return needs(err, listJobs)
		}
		index = meta.LastIndex
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("asking for Nomad's index: %w", err)
	}
	return index, nil
}
