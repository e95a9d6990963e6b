package trtsim

import (
	"fmt"
	"strings"
	"time"
)

// Natural answers end by themselves after so many tokens, the end token included: enough for a benchmark's max_tokens of
// 100 to be what ends it.
const (
	shortestAnswer = 128
	answerSpread   = 257
)

// answer is what one sequence will say: settled when it is accepted, since the text depends on nothing that happens later.
type answer struct {
	key    uint64
	script *script
	open   []string // what its text begins with
	limit  int      // tokens
	finish string   // stop or length
	stop   string   // the stop string that ends it; "" = none
	keep   int      // bytes of its text; -1 = all
	ended  bool     // the last token is the end token, without text
}

func (e *Engine) settle(req *request, p *prompt, index, room int) answer {
	a := answer{key: mix(e.cfg.Seed ^ p.key ^ mix(uint64(index))), script: req.script, open: e.open, limit: room, finish: "length", keep: -1}
	natural := shortestAnswer + int(mix(a.key)%answerSpread)
	natural = max(natural, req.least)
	end := "stop"
	if a.script != nil { // along a grammar there is nothing to choose: neither min_tokens nor ignore_eos lengthens it
		a.open, natural = a.script.tokens, len(a.script.tokens)+1
		if a.script.calls() {
			end = "tool_calls"
		}
	}
	if (!req.endless || a.script != nil) && natural <= room {
		a.limit, a.finish, a.ended = natural, end, true
	}
	if len(req.stops) > 0 && a.script == nil {
		e.settleStop(req, &a)
	}
	return a
}

// settleStop finds the first stop string in the text to come.
func (e *Engine) settleStop(req *request, a *answer) {
	longest := 0
	for _, s := range req.stops {
		longest = max(longest, len(s))
	}
	t := newText(a.key, a.open)
	var b []byte
	for made := 1; made <= a.limit && !(a.ended && made == a.limit); made++ {
		from := max(0, len(b)-longest+1)
		b = t.next(b)
		if made < req.least {
			continue
		}
		at, stop := firstOf(string(b[from:]), req.stops)
		if at < 0 {
			continue
		}
		a.limit, a.finish, a.stop, a.ended = made, "stop", stop, false
		if a.keep = from + at; req.keepStop {
			a.keep += len(stop)
		}
		return
	}
}

func firstOf(s string, stops []string) (at int, found string) {
	at = -1
	for _, stop := range stops {
		if i := strings.Index(s, stop); i >= 0 && (at < 0 || i < at) {
			at, found = i, stop
		}
	}
	return at, found
}

// reply is one request on its way: what was asked, what will be said, and the job that says how far the engine is.
type reply struct {
	*request
	job     *job
	answers []answer
	created int64
	id      int64 // engine request id
}

// accept checks the request against the engine's limits and queues it. Its errors are answered as they are.
func (e *Engine) accept(req *request) (*reply, error) {
	now := time.Now()
	rep := &reply{
		request: req, created: now.Unix(), id: e.ids.Add(int64(len(req.prompts))),
		answers: make([]answer, 0, len(req.prompts)*req.n),
		job:     &job{accepted: now, stream: req.stream, notify: make(chan struct{}, 1)},
	}
	rep.job.sequences = make([]sequence, len(req.prompts)*req.n)
	rep.job.left = len(rep.job.sequences)
	for i := range req.prompts {
		if err := e.prepare(rep, i); err != nil {
			return nil, err
		}
	}
	return rep, e.enqueue(rep.job)
}

// prepare settles the answers to one prompt.
func (e *Engine) prepare(rep *reply, i int) error {
	p := &rep.prompts[i]
	if !e.cfg.ChunkedPrefill && p.tokens > e.cfg.MaxNumTokens {
		return refuse("The prompt length (%d) should not exceed max_num_tokens (%d)", p.tokens, e.cfg.MaxNumTokens)
	}
	// The wording is not known for sure, and neither is that a larger max_tokens is clamped rather than refused.
	longest := min(e.cfg.MaxSeqLen, e.batch.capacity)
	room := longest - p.tokens
	if room < 1 {
		return refuse("The prompt length (%d) should not exceed max_seq_len (%d)", p.tokens, longest)
	}
	if rep.most > 0 {
		room = min(room, rep.most)
	}
	blocks := (p.tokens + room + tokensPerBlock - 1) / tokensPerBlock
	for k := range rep.n {
		at := i*rep.n + k
		a := e.settle(rep.request, p, k, room)
		rep.answers = append(rep.answers, a)
		s := &rep.job.sequences[at]
		s.job, s.prompt, s.limit, s.stall = rep.job, p.tokens, a.limit, -1
		s.reserve = min(blocks*tokensPerBlock, e.batch.capacity)
		s.readyAt = rep.job.accepted.Add(e.pace.real(e.pace.overhead()))
	}
	return nil
}

// enqueue hands a job to the loop. It fails while memory is parked, and where a fault says so.
func (e *Engine) enqueue(j *job) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.memory.state != running {
		return errParked(e.memory.state)
	}
	if f, strikes := e.takeLocked(FaultDie, FaultCut, FaultHang, FaultError, FaultFatal); strikes {
		if f.Kind == FaultError {
			return fmt.Errorf("injected failure")
		}
		j.fault = f
	}
	for i := range j.sequences {
		s := &j.sequences[i]
		if j.fault.Kind != "" {
			s.stall = j.fault.After
		}
		e.batch.queue = append(e.batch.queue, s)
	}
	e.nudge()
	return nil
}

// abort takes a job out of the batch at the next iteration.
func (e *Engine) abort(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j.aborted = true
	e.batch.aborts = true
	e.nudge()
}

// total is the tokens made so far.
func (rep *reply) total() int {
	n := 0
	for i := range rep.job.sequences {
		n += int(rep.job.sequences[i].made.Load())
	}
	return n
}
