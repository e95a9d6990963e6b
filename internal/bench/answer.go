package bench

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

const mostAnswer = 64 << 20 // bytes of one that is read whole

var (
	errIncomplete = errors.New("the stream ended before its answer was whole")
	errMalformed  = errors.New("the answer is not one of the OpenAI API")
)

// answer reads one into a sample.
type answer struct {
	sample *Sample
	counts bool // the server has said how many tokens there are
	chunks int64
}

// chunk is what of a chunk, or of a whole answer, is looked at.
type chunk struct {
	Choices []struct {
		Text  string `json:"text"`
		Delta struct {
			Content          string          `json:"content"`
			Reasoning        string          `json:"reasoning"`
			ReasoningContent string          `json:"reasoning_content"`
			ToolCalls        json.RawMessage `json:"tool_calls"`
		} `json:"delta"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
	} `json:"usage"`
	Pilotlight json.RawMessage `json:"pilotlight"`
}

// generated reports whether a chunk carries something that a model has generated.
func (c *chunk) generated() bool {
	for i := range c.Choices {
		o := &c.Choices[i]
		if calls := string(o.Delta.ToolCalls); o.Text+o.Delta.Content+o.Delta.Reasoning+o.Delta.ReasoningContent != "" || calls != "" && calls != "null" && calls != "[]" {
			return true
		}
	}
	return false
}

// readStream reads an event stream. Every event of one read has come at the moment at which that read returned.
func (a *answer) readStream(r io.Reader) error {
	var scanner openai.Scanner
	buf := make([]byte, 16<<10)
	done := false
	for {
		n, err := r.Read(buf)
		now := time.Now()
		if err != nil {
			scanner.End()
		}
		for scanner.Feed(buf[:n]); scanner.Next(); {
			ended, failure := a.event(scanner.Event(), now)
			if failure != nil {
				return failure
			}
			done = done || ended
		}
		switch {
		case scanner.Err() != nil:
			return errMalformed
		case errors.Is(err, io.EOF):
			a.sample.End = now
			if !done && !scanner.Finished() {
				return errIncomplete
			}
			return a.finish()
		case err != nil:
			return err
		}
	}
}

// finish counts chunks as tokens where the server has not said how many there are.
func (a *answer) finish() error {
	if !a.counts {
		a.sample.OutputTokens = a.chunks
	}
	return nil
}

// event takes in one event. It reports whether it ends the stream as it should.
func (a *answer) event(e openai.Event, now time.Time) (done bool, err error) {
	switch e.Kind {
	case openai.KindComment:
		a.sample.Receipt.readComment(string(e.Raw))
	case openai.KindDone:
		return true, nil
	case openai.KindError:
		a.sample.Failure = a.failure(e.Data)
		return false, errMalformed
	case openai.KindChunk, openai.KindUsage:
		var c chunk
		if err := json.Unmarshal(e.Data, &c); err != nil {
			return false, errMalformed
		}
		a.take(&c)
		if c.generated() {
			a.token(now)
		}
	}
	return false, nil
}

func (a *answer) token(now time.Time) {
	s := a.sample
	if s.First.IsZero() {
		s.First = now
	} else {
		s.Chunks = append(s.Chunks, now.Sub(s.Last))
	}
	s.Last = now
	a.chunks++
}

// take reads usage and the receipt.
func (a *answer) take(c *chunk) {
	if c.Usage != nil {
		a.counts = true
		a.sample.InputTokens, a.sample.OutputTokens = c.Usage.Prompt, c.Usage.Completion
	}
	if c.Pilotlight != nil {
		a.sample.Receipt.readObject(c.Pilotlight)
	}
}

// readWhole reads an answer that is no stream.
func (a *answer) readWhole(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, mostAnswer))
	a.sample.End = time.Now()
	if err != nil {
		return err
	}
	var c chunk
	if err := json.Unmarshal(text, &c); err != nil || len(c.Choices) == 0 {
		return errMalformed
	}
	a.take(&c)
	return nil
}

// readError reads what a server that did not answer 200 says.
func (a *answer) readError(r io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(r, 1<<20)) // what there is of it
	a.sample.Failure = a.failure(text)
	return errMalformed
}

// failure names an error of the server's: its status, and its code, or its type where it has none.
func (a *answer) failure(text []byte) string {
	var said struct {
		Error struct {
			Code any    `json:"code"`
			Type string `json:"type"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &said) // other shapes have no code
	status := strconv.Itoa(a.sample.Status)
	switch code := said.Error.Code.(type) {
	case string:
		return status + " " + code
	case float64:
		return status + " " + strconv.FormatFloat(code, 'f', -1, 64)
	}
	return strings.TrimSpace(status + " " + said.Error.Type)
}

// readHeader reads what Pilotlight says in an answer's headers.
func (r *Receipt) readHeader(h http.Header) {
	r.Start = h.Get("X-Pilotlight-Start")
	for part := range strings.SplitSeq(h.Get("Server-Timing"), ",") {
		name, more, _ := strings.Cut(strings.TrimSpace(part), ";")
		us, ok := microsOf(strings.TrimPrefix(strings.TrimSpace(more), "dur="))
		if to := map[string]*int64{"queue": &r.QueueUS, "activate": &r.ActivateUS, "upstream": &r.UpstreamUS}[name]; to != nil && ok && r.Start != "" {
			*to = us
		}
	}
	billed, ok := microsOf(h.Get("X-Pilotlight-Billed-Ms"))
	cost, err := fleet.ParseUSD(h.Get("X-Pilotlight-Cost-Usd"))
	if ok && err == nil {
		r.BilledUS, r.Cost, r.Priced = billed, cost, true
	}
}

// microsOf reads milliseconds with at most three decimals, exactly.
func microsOf(ms string) (int64, bool) {
	whole, rest, _ := strings.Cut(ms, ".")
	us, err := strconv.ParseInt(whole+(rest + "000")[:3], 10, 64)
	return us, err == nil && us >= 0 && len(rest) <= 3 && whole != ""
}

// readComment reads the comment that stands for headers where keep-alives came before: ": pilotlight start=cold instance=… queue_ms=… activate_ms=…".
func (r *Receipt) readComment(raw string) {
	for line := range strings.Lines(raw) {
		fields := strings.Fields(strings.TrimSpace(line))
		if len(fields) < 3 || fields[0] != ":" || fields[1] != "pilotlight" || !strings.HasPrefix(fields[2], "start=") {
			continue
		}
		for _, f := range fields[2:] {
			name, value, _ := strings.Cut(f, "=")
			us, ok := microsOf(value)
			switch {
			case name == "start":
				r.Start = value
			case name == "queue_ms" && ok:
				r.QueueUS = us
			case name == "activate_ms" && ok:
				r.ActivateUS = us
			}
		}
	}
}

// readObject reads the object pilotlight of a stream, or of a receipt. What it does not say stays.
func (r *Receipt) readObject(data []byte) {
	var said struct {
		*Receipt
		CostUSD string `json:"cost_usd"`
	}
	said.Receipt = r
	if err := json.Unmarshal(data, &said); err != nil {
		return
	}
	if cost, err := fleet.ParseUSD(said.CostUSD); err == nil {
		r.Cost, r.Priced = cost, true
	}
}
