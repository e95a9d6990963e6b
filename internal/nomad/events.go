package nomad

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// batch is a line of Nomad's event stream; one without events is a heartbeat.
type batch struct {
	Index  uint64
	Events []event
	err    error // the stream has ended with it
}

type event struct {
	Topic          api.Topic
	Type           string
	Key, Namespace string
	FilterKeys     []string
	Index          uint64
	Payload        json.RawMessage
}

// payload is the object that the event is of, as it was then.
type payload struct {
	Job        *job
	Deleted    bool // the job
	Allocation *allocation
	Evaluation *evaluation
	Node       *node
}

var topics = url.Values{"topic": {"Job:*", "Allocation:*", "Evaluation:*", "Node:*"}}

// open opens the event stream behind an index. The server may begin with older events all the same.
func (w *watch) open(ctx context.Context, index uint64) (io.ReadCloser, error) {
	q := w.n.query(ctx)
	q.Namespace = w.namespace
	q.Params = map[string]string{"index": strconv.FormatUint(index, 10)}
	stream, err := w.n.client.Raw().Response("/v1/event/stream?"+topics.Encode(), q)
	if status, _ := refusal(err); status == http.StatusForbidden && w.narrow() {
		return w.open(ctx, index)
	}
	return stream, needs(err, readJob+" and "+readNode)
}

// decode hands on what the stream says until it ends, and closes it.
func decode(ctx context.Context, stream io.ReadCloser, batches chan<- batch) {
	defer stream.Close()
	for lines := json.NewDecoder(stream); ; {
		var b batch
		b.err = lines.Decode(&b)
		select {
		case <-ctx.Done():
			return
		case batches <- b:
		}
		if b.err != nil {
			return
		}
	}
}

// changes are what has changed since it was told last.
type changes struct {
	jobs, nodes map[string]bool // by ID
	unclear     bool            // something has, of which only a complete list says what
	returned    bool            // a node has come back
}

// any reports whether there is something to tell.
func (c *changes) any() bool { return len(c.jobs) > 0 || len(c.nodes) > 0 }

func (c *changes) reset() { *c = changes{jobs: make(map[string]bool), nodes: make(map[string]bool)} }

// apply takes an event, unless what was read is newer: a stream repeats old events after a restart of the server.
func (s *state) apply(e *event, c *changes) {
	if e.Index <= s.read[e.Topic] || !s.concerned(e) {
		return
	}
	var p payload
	if len(e.Payload) == 0 || json.Unmarshal(e.Payload, &p) != nil {
		c.unclear = true
		return
	}
	switch {
	case e.Topic == api.TopicJob && p.Job != nil:
		s.applyJob(e, &p, c)
	case e.Topic == api.TopicAllocation && p.Allocation != nil:
		s.applyAllocation(p.Allocation, c)
	case e.Topic == api.TopicEvaluation && p.Evaluation != nil:
		s.applyEvaluation(p.Evaluation, c)
	case e.Topic == api.TopicNode && p.Node != nil:
		s.applyNode(e, p.Node, c)
	default:
		c.unclear = true
	}
}

// concerned reports whether an event may matter to us, before it is read whole.
func (s *state) concerned(e *event) bool {
	switch e.Topic {
	case api.TopicJob:
		return e.Key == "" || strings.HasPrefix(e.Key, s.prefix)
	case api.TopicEvaluation:
		return len(e.FilterKeys) == 0 || strings.HasPrefix(e.FilterKeys[0], s.prefix)
	}
	return true
}

func (s *state) applyJob(e *event, p *payload, c *changes) {
	j := p.Job
	if j.Namespace != s.namespace {
		return
	}
	known := s.jobs[j.ID]
	switch {
	case p.Deleted && known != nil && known.ModifyIndex < e.Index:
		delete(s.jobs, j.ID)
		delete(s.failures, j.ID)
	case p.Deleted, known != nil && known.ModifyIndex >= j.ModifyIndex:
		return
	default:
		s.putJob(j)
	}
	if known == nil && s.jobs[j.ID] == nil {
		return // somebody else's
	}
	c.jobs[j.ID] = true
	for _, a := range s.byJob[j.ID] {
		c.nodes[a.NodeID] = true // whose they are may have changed
	}
}

func (s *state) applyAllocation(a *allocation, c *changes) {
	known := s.byID[a.ID]
	if known != nil && known.ModifyIndex >= a.ModifyIndex {
		return
	}
	s.putAllocation(a)
	j := s.jobOf(a)
	if j == nil && a.ended() && !strings.HasPrefix(a.JobID, s.prefix) {
		s.removeAllocation(a.ID)
	}
	if j != nil {
		c.jobs[j.ID] = true
	}
	if a.gpus() > 0 && (j == nil || j.instance() == "" || s.allocation(j) != a) {
		c.nodes[a.NodeID] = true
	}
}

func (s *state) applyEvaluation(e *evaluation, c *changes) {
	before := s.failures[e.JobID]
	s.putEvaluation(e)
	if s.failures[e.JobID] != before && s.jobs[e.JobID] != nil {
		c.jobs[e.JobID] = true
	}
}

func (s *state) applyNode(e *event, n *node, c *changes) {
	known := s.nodes[n.ID]
	if e.Type == "NodeDeregistration" {
		if known == nil || known.ModifyIndex >= e.Index {
			return
		}
		delete(s.nodes, n.ID)
		c.unclear = true // that it is gone, only a complete list says
	} else if known != nil && known.ModifyIndex >= n.ModifyIndex {
		return
	} else {
		c.returned = c.returned || returned(known, n)
		s.nodes[n.ID] = n
	}
	c.nodes[n.ID] = true
	for _, a := range s.byNode[n.ID] {
		if j := s.jobOf(a); j != nil && j.slot() != "" {
			c.jobs[j.ID] = true // a slot is in no better condition than its node
		}
	}
}
