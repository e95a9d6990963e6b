package config

import (
	"math"
	"regexp"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// idPattern keeps model IDs fit for URLs, metric labels, file names and Nomad's job names after escaping.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@+-]*(/[A-Za-z0-9][A-Za-z0-9._:@+-]*)*$`)

var allowPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

func (r *reader) models(f *fileHCL, c *Config) []*fleet.Model {
	var models []*fleet.Model
	first := map[string]int{} // model ID -> line
	for _, block := range f.Models {
		if r.first(first, "model", block.ID, block.Range) {
			models = append(models, r.model(block, c))
		}
	}
	return models
}

func (r *reader) model(f *modelHCL, c *Config) *fleet.Model {
	if !idPattern.MatchString(f.ID) || len(f.ID) > 200 {
		r.wrong(f.Range, "model %q: an id is like \"meta-llama/Meta-Llama-3-8B-Instruct\": letters, digits and ._:@+- between slashes, at most 200", f.ID)
	}
	m := r.options.known(f.ID)
	known := m != nil
	if !known {
		m = r.options.model(f.ID)
	}
	r.count(f.ContextLength, &m.ContextLength, 1, math.MaxInt32)
	r.count(f.MaxConcurrency, &m.MaxConcurrency, 1, math.MaxInt32)
	r.span(f.IdleAfter, &m.IdleAfter, 0)
	r.list(f.Allow, &m.Allow, `a list such as ["lora_request"]`, func(s string) string {
		if !allowPattern.MatchString(s) {
			return `is no field of a request; write a name such as "lora_request", or "remote_media"`
		}
		return ""
	})
	r.bounds(f.Instances, &m.Instances, "instances")
	r.queue(f.Queue, &m.Queue)
	if f.Timeouts != nil {
		r.span(f.Timeouts.Start, &m.Timeouts.Start, 0)
		r.span(f.Timeouts.FirstByte, &m.Timeouts.FirstByte, 0)
		r.span(f.Timeouts.Idle, &m.Timeouts.Idle, 0)
		r.span(f.Timeouts.Total, &m.Timeouts.Total, 0)
	}
	r.engine(f, m, c.Backend, known)
	r.modelEndpoints(f, m)
	r.modelGPUs(f, m, c.Backend, known)
	r.modelPool(f, m, c)
	if m.ParkedMemory == 0 || m.Engine.Memory < m.ParkedMemory { // memory covers what the engine keeps while it is parked
		m.ParkedMemory = m.Engine.Memory
	}
	return m
}

func (r *reader) queue(f *queueHCL, q *fleet.QueueLimits) {
	if f == nil {
		return
	}
	r.count(f.Limit, &q.Limit, 1, math.MaxInt32)
	byDefault := !r.count(f.PerOrg, &q.PerOrg, 1, math.MaxInt32)
	r.span(f.MaxWait, &q.MaxWait, time.Second)
	if q.PerOrg <= q.Limit {
		return
	}
	if !byDefault {
		r.wrong(f.PerOrg.Range, "per_org is %d, more than the whole queue's limit of %d; lower it or raise limit", q.PerOrg, q.Limit)
	}
	q.PerOrg = q.Limit
}

// modelGPUs reads the number of GPUs, and holds it against what the back end has.
func (r *reader) modelGPUs(f *modelHCL, m *fleet.Model, b Backend, known bool) {
	if f.GPUs == nil && !known {
		r.wrong(f.Range, "model %q has no gpus; write gpus = 1, 2, 4 or 8", f.ID)
		return
	}
	if f.GPUs != nil && !r.gpus(f.GPUs, &m.GPUs, 0) {
		return
	}
	at := f.Range
	if f.GPUs != nil {
		at = f.GPUs.Range
	}
	switch {
	case m.GPUs == 0 && m.Engine.Kind != fleet.EngineOpenAI && m.Engine.Kind != "":
		r.wrong(at, "gpus is 0; an engine of kind %s needs 1, 2, 4 or 8 (only kind openai can do without)", m.Engine.Kind)
	case m.GPUs == 0 && b.Kind != BackendLocal:
		r.wrong(at, "gpus is 0; that is for the local back end only, write 1, 2, 4 or 8")
	case b.Kind == BackendLocal && m.GPUs > b.GPUs:
		r.wrong(at, "gpus is %d, but the local back end has %d; lower it, or raise gpus of backend \"local\"", m.GPUs, b.GPUs)
	case b.Kind == BackendLocal && m.GPUs*m.Instances.Min > b.GPUs:
		r.wrong(at, "instances: min %d of %d GPUs each can never fit the %d of the local back end; lower min", m.Instances.Min, m.GPUs, b.GPUs)
	}
}
