package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// afresh bounds how long a list may be relied on: what Nomad forgets by itself is no event.
const afresh = 30 * time.Second

// Watch tells how things stand, at once and after each change that Nomad's event stream reports, always as a complete list, until ctx
// is done or the server is lost. The stream says only that something changed: it repeats old events after a
// restart of a server, and what is told is always read anew.
//
// An instance whose allocation has ended is told as gone, and its job is stopped, so that Nomad does not start it elsewhere. Sightings name
// no act: a job does not know the numbers of acts, and needs none, for an instance's name is never used again.
func (n *Nomad) Watch(ctx context.Context, tell func(fleet.Observation)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watch{n: n, namespace: api.AllNamespacesNamespace}
	all := change{nodes: true, allocations: true, evaluations: true}
	if err := w.read(ctx, all); err != nil {
		return fmt.Errorf("reading the state of Nomad: %w", err)
	}
	events, err := w.stream(ctx)
	if err != nil {
		return fmt.Errorf("following Nomad's events: %w", err)
	}
	ticker := time.NewTicker(afresh)
	defer ticker.Stop()
	changed := all // the first list may be older than the stream
	for first := true; ; first = false {
		if err := w.read(ctx, changed); err != nil {
			return fmt.Errorf("reading the state of Nomad: %w", err)
		}
		o := w.observation()
		w.seeSlots()
		if first {
			w.n.slots.settle(ctx)
		}
		tell(o)
		if err := w.bury(ctx); err != nil {
			return fmt.Errorf("stopping a job that has ended: %w", err)
		}
		if changed, err = next(ctx, events, ticker.C); err != nil {
			return fmt.Errorf("following Nomad's events: %w", err)
		}
	}
}

// watch is the state of one Watch.
type watch struct {
	n           *Nomad
	namespace   string // of others' allocations and jobs; the own one where the token may not see all
	asked       time.Time
	index       uint64
	jobs        []*api.JobListStub // ours only
	slotJobs    []*api.JobListStub
	allocations []*api.AllocationListStub
	evaluations []*api.Evaluation
	nodes       []*api.NodeListStub
	ended       []string // jobs to stop

	heard, saying map[string]news // instance ID -> what was logged of it last, and is to be now
}

// change says what has to be read anew. Jobs are, with any of these.
type change struct{ nodes, allocations, evaluations bool }

var topics = map[api.Topic][]string{
	api.TopicJob: {"*"}, api.TopicAllocation: {"*"}, api.TopicEvaluation: {"*"}, api.TopicNode: {"*"},
}

func (w *watch) stream(ctx context.Context) (<-chan *api.Events, error) {
	q := w.n.query(ctx)
	q.Namespace = w.namespace
	events, err := w.n.client.EventStream().Stream(ctx, topics, w.index, q)
	if status, _ := refusal(err); status == http.StatusForbidden && w.narrow() {
		return w.stream(ctx)
	}
	return events, needs(err, readJob+" and "+readNode)
}

// narrow looks at our namespace alone from now on, and reports whether that changes anything: others' use of GPUs is then
// known in that namespace only, and Nomad itself says where there is no room.
func (w *watch) narrow() bool {
	before := w.namespace
	w.namespace = w.n.cfg.Namespace
	return before != w.namespace
}

// next waits for events, takes those that are there at once, and says what they are about.
func next(ctx context.Context, events <-chan *api.Events, tick <-chan time.Time) (change, error) {
	var c change
	for waiting := true; waiting || len(events) > 0; waiting = false {
		select {
		case <-ctx.Done():
			return c, context.Cause(ctx)
		case <-tick:
			return change{nodes: true, allocations: true, evaluations: true}, nil
		case batch, open := <-events:
			if !open {
				return c, errors.New("the stream has ended")
			}
			if batch.Err != nil {
				return c, batch.Err
			}
			for i := range batch.Events {
				c.add(batch.Events[i].Topic)
			}
		}
	}
	return c, nil
}

func (c *change) add(topic api.Topic) {
	switch topic {
	case api.TopicNode:
		c.nodes = true
	case api.TopicAllocation:
		c.allocations = true
	case api.TopicEvaluation, api.TopicJob:
		c.evaluations = true
	}
}

// read reads what has changed, from a server that answers soon.
func (w *watch) read(ctx context.Context, c change) error {
	return within(ctx, func(ctx context.Context) error { return w.readAll(ctx, c) })
}

// readAll reads jobs after allocations: so no allocation of ours is without its job, and taken for another's.
func (w *watch) readAll(ctx context.Context, c change) error {
	w.asked = time.Now()
	if c.nodes {
		if err := w.readNodes(ctx); err != nil {
			return err
		}
	}
	if c.allocations {
		err := w.readAllocations(ctx)
		if status, _ := refusal(err); status == http.StatusForbidden && w.narrow() {
			err = w.readAllocations(ctx)
		}
		if err != nil {
			return err
		}
	}
	if c.evaluations {
		if err := w.readEvaluations(ctx); err != nil {
			return err
		}
	}
	return w.readJobs(ctx)
}

func (w *watch) readNodes(ctx context.Context) (err error) {
	q := w.n.query(ctx)
	q.Params = map[string]string{"resources": "true"}
	w.nodes, _, err = w.n.client.Nodes().List(q)
	return needs(err, readNode)
}

func (w *watch) readAllocations(ctx context.Context) (err error) {
	q := w.n.query(ctx)
	q.Namespace = w.namespace
	q.Params = map[string]string{"resources": "true"}
	q.Filter = `(ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost") or JobID contains ` + strconv.Quote(w.n.prefix())
	w.allocations, _, err = w.n.client.Allocations().List(q)
	return needs(err, readJob)
}

func (w *watch) readEvaluations(ctx context.Context) (err error) {
	q := w.n.query(ctx)
	q.Filter = `JobID contains ` + strconv.Quote(w.n.prefix())
	w.evaluations, _, err = w.n.client.Evaluations().List(q)
	return needs(err, readJob)
}

func (w *watch) readJobs(ctx context.Context) error {
	q := w.n.query(ctx)
	q.Prefix = w.n.prefix()
	jobs, meta, err := w.n.client.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, q)
	if err != nil {
		return needs(err, listJobs)
	}
	w.index = meta.LastIndex
	w.jobs, w.slotJobs = w.jobs[:0], w.slotJobs[:0]
	for _, j := range jobs {
		switch {
		case j.Meta[metaCluster] != w.n.cfg.Cluster:
		case w.n.isVoid(j):
			if err := w.n.stopVoid(ctx, j); err != nil {
				return err
			}
		case j.Meta[metaInstance] != "":
			w.jobs = append(w.jobs, j)
		case j.Meta[metaSlot] != "":
			w.slotJobs = append(w.slotJobs, j)
		}
	}
	return nil
}

// bury stops the jobs of instances and slots that have ended by themselves.
func (w *watch) bury(ctx context.Context) error {
	for _, name := range w.ended {
		if err := within(ctx, func(ctx context.Context) error { return w.n.deregister(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

// prefix begins the name of each of our jobs; others' may begin so too.
func (n *Nomad) prefix() string { return "pilotlight-" + n.cfg.Cluster + "-" }
