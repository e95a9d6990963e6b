package bench

import (
	"slices"
	"sync"
	"time"
)

// The names of what is measured. All but inter_token and inter_chunk count from the moment at which a request was meant to be sent; those of
// streams are absent where there are none, and those of the server where it says nothing of itself.
const (
	MetricTTFT       = "ttft"        // to the first token
	MetricInterToken = "inter_token" // between two tokens of one answer, its mean: (last - first) / (tokens - 1)
	MetricInterChunk = "inter_chunk" // between two chunks of one stream, each gap
	MetricE2E        = "e2e"         // to the end
	MetricQueue      = "queue"       // of the server: waiting for a place
	MetricActivate   = "activate"    // of the server: waiting for the model to become hot
	MetricWake       = "wake"        // of the server: what was left of a wake after the dispatch
	MetricModelTTFT  = "model_ttft"  // ttft without queue, activate and wake: the model's own, and the network's
	MetricModelE2E   = "model_e2e"   // e2e without them
	MetricLag        = "lag"         // how late the request was sent: the harness's own fault, or its bound on requests at once
)

// Metrics are all of them, in the order of reports. ttft is also kept for each tier that a start came from, as "ttft hot".
var Metrics = []string{
	MetricTTFT, MetricTTFT + " hot", MetricTTFT + " parked", MetricTTFT + " cold", MetricModelTTFT, MetricInterToken, MetricInterChunk, MetricE2E, MetricModelE2E,
	MetricQueue, MetricActivate, MetricWake, MetricLag,
}

// Block is what a stretch of a run came to. Requests are in the block in which they were meant to be sent.
type Block struct {
	Seconds      float64               `json:"seconds"`
	Requests     int64                 `json:"requests"` // that have ended, and were not interrupted
	Good         int64                 `json:"good"`     // whole answers that met the objectives
	Failures     map[string]int64      `json:"failures,omitempty"`
	Interrupted  int64                 `json:"interrupted,omitempty"`
	InputTokens  int64                 `json:"input_tokens"`
	OutputTokens int64                 `json:"output_tokens"`
	Starts       map[string]int64      `json:"starts,omitempty"` // hot, parked, cold -> requests
	BilledUS     int64                 `json:"billed_us"`
	CostNanoUSD  int64                 `json:"cost_nano_usd"`
	Unpriced     int64                 `json:"unpriced,omitempty"` // requests of which the server has not said what they cost
	Latency      map[string]*Histogram `json:"latency"`            // metric -> what it came to, of whole answers; lag: of all
}

// fewestBlocks to twice as many are what a run is cut into, however long it is.
const fewestBlocks = 16

// Collector sums samples up. It is safe for concurrent use.
type Collector struct {
	slo   SLO
	start time.Time

	mu     sync.Mutex // guards what follows
	width  time.Duration
	blocks []*Block
}

// NewCollector makes one for a run that begins at start.
func NewCollector(start time.Time, slo SLO) *Collector {
	return &Collector{slo: slo, start: start, width: 50 * time.Millisecond}
}

// Add counts a sample. It keeps nothing of it.
func (c *Collector) Add(s *Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.block(s.Intended.Sub(c.start)).add(s, &c.slo)
}

// block finds the one of a moment. Blocks are joined in pairs when they become too many.
func (c *Collector) block(at time.Duration) *Block {
	at = max(at, 0)
	for at/c.width >= 2*fewestBlocks {
		c.width *= 2
		for i := range (len(c.blocks) + 1) / 2 {
			c.blocks[i] = c.blocks[2*i]
			if 2*i+1 < len(c.blocks) {
				c.blocks[i].merge(c.blocks[2*i+1])
			}
		}
		c.blocks = c.blocks[:(len(c.blocks)+1)/2]
	}
	i := int(at / c.width)
	for len(c.blocks) <= i {
		c.blocks = append(c.blocks, newBlock())
	}
	return c.blocks[i]
}

// Blocks gives what was collected so far of a run that sends requests until end, and lets go of nothing. The blocks are the caller's.
func (c *Collector) Blocks(end time.Time) []*Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.block(end.Sub(c.start) - 1) // a run whose end was silent is as long as it was
	var out []*Block
	left := max(end.Sub(c.start), 0)
	for _, b := range c.blocks {
		copied := newBlock()
		copied.merge(b)
		copied.Seconds = min(c.width, left).Seconds()
		left -= min(c.width, left)
		out = append(out, copied)
	}
	return out
}

func newBlock() *Block {
	return &Block{Failures: make(map[string]int64), Starts: make(map[string]int64), Latency: make(map[string]*Histogram)}
}

func (b *Block) add(s *Sample, slo *SLO) {
	if s.Failure == Interrupted {
		b.Interrupted++
		return
	}
	b.Requests++
	b.observe(MetricLag, s.Sent.Sub(s.Intended), !s.Sent.IsZero())
	b.InputTokens += s.InputTokens
	b.OutputTokens += s.OutputTokens
	b.receipt(&s.Receipt)
	if s.Failure != "" {
		b.Failures[s.Failure]++
		return
	}
	if slo.met(s) {
		b.Good++
	}
	ttft, first := s.took(s.First)
	e2e, _ := s.took(s.End)
	between, some := s.interToken()
	b.observe(MetricTTFT, ttft, first)
	b.observe(MetricE2E, e2e, true)
	b.observe(MetricInterToken, between, some)
	for _, gap := range s.Chunks {
		b.observe(MetricInterChunk, gap, true)
	}
	if r := &s.Receipt; r.Start != "" {
		b.observe(MetricTTFT+" "+r.Start, ttft, first && slices.Contains(Metrics, MetricTTFT+" "+r.Start))
		b.observe(MetricModelTTFT, ttft-r.Held(), first)
		b.observe(MetricModelE2E, e2e-r.Held(), true)
		b.observe(MetricQueue, time.Duration(r.QueueUS)*time.Microsecond, true)
		b.observe(MetricActivate, time.Duration(r.ActivateUS)*time.Microsecond, true)
		b.observe(MetricWake, time.Duration(r.WakeUS)*time.Microsecond, r.WakeUS > 0)
	}
}

// receipt counts what the server has said of a request, whether it succeeded or not.
func (b *Block) receipt(r *Receipt) {
	if r.Start == "" {
		return
	}
	b.Starts[r.Start]++
	if !r.Priced {
		b.Unpriced++
		return
	}
	b.BilledUS += r.BilledUS
	b.CostNanoUSD = saturatingAdd(b.CostNanoUSD, int64(r.Cost))
}

func (b *Block) observe(metric string, d time.Duration, has bool) {
	if !has {
		return
	}
	h := b.Latency[metric]
	if h == nil {
		h = &Histogram{}
		b.Latency[metric] = h
	}
	h.Add(d)
}

// merge adds another block's counts, and its time.
func (b *Block) merge(o *Block) {
	b.Seconds += o.Seconds
	b.Requests += o.Requests
	b.Good += o.Good
	b.Interrupted += o.Interrupted
	b.InputTokens += o.InputTokens
	b.OutputTokens += o.OutputTokens
	b.BilledUS += o.BilledUS
	b.CostNanoUSD = saturatingAdd(b.CostNanoUSD, o.CostNanoUSD)
	b.Unpriced += o.Unpriced
	addAll(b.Failures, o.Failures)
	addAll(b.Starts, o.Starts)
	for metric, h := range o.Latency {
		if b.Latency[metric] == nil {
			b.Latency[metric] = &Histogram{}
		}
		b.Latency[metric].Merge(h)
	}
}

func addAll(to, from map[string]int64) {
	for key, n := range from {
		to[key] += n
	}
}
