package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// quietFor is how long an engine that counts its iterations must have finished none to be taken for idle: longer than any one iteration takes.
const quietFor = 10 * time.Second

// metricsMost bounds the metrics that are read: TensorRT-LLM remembers a thousand iterations.
const metricsMost = 16 << 20

// Load asks one engine how many requests it serves. One call at a time.
type Load struct {
	kind  fleet.EngineKind
	addr  string
	quiet time.Duration // without an iteration, after which it is idle

	counts     bool      // it has told of iterations, so it counts them
	quietSince time.Time // it has told of none since it was asked then; zero = it was not asked yet
}

// NewLoad makes the Load of an engine of the kind at addr (host:port).
func NewLoad(k fleet.EngineKind, addr string) *Load {
	return &Load{kind: k, addr: addr, quiet: quietFor}
}

// Running gives the number of requests that the engine says it serves, waiting ones included; else fleet.Uncounted where its answer has none, and fleet.Unasked where it
// gives no answer, or not yet one that can be told from that of an engine which counts none.
func (l *Load) Running(ctx context.Context) int {
	w := &wire{addr: l.addr, most: metricsMost}
	defer w.close()
	asked := time.Now()
	status, body, err := w.do(ctx, http.MethodGet, MetricsPath(l.kind), nil)
	switch {
	case err == nil && (status == http.StatusNotFound || status == http.StatusNotImplemented):
		return fleet.Uncounted
	case err != nil || status != http.StatusOK:
		return fleet.Unasked
	}
	if kinds[l.kind].iterations {
		return l.ofIterations(asked, body)
	}
	return ofGauges(body)
}

// ofIterations reads TensorRT-LLM's metrics: the iterations since the last read, in a list that is always empty where the engine was not
// configured to count them. An idle engine has none to tell of, nor has one that is busy with a long one.
func (l *Load) ofIterations(asked time.Time, body []byte) int {
	var iterations []struct {
		Active int `json:"numActiveRequests"`
		Queued int `json:"numQueuedRequests"`
	}
	if json.Unmarshal(body, &iterations) != nil {
		return fleet.Uncounted
	}
	since := l.quietSince
	if n := len(iterations); n > 0 {
		l.counts, l.quietSince = true, asked
		if last := iterations[n-1]; last.Active+last.Queued > 0 {
			return last.Active + last.Queued
		}
		return fleet.Unasked
	}
	switch {
	case since.IsZero():
		l.quietSince = asked
		return fleet.Unasked
	case asked.Sub(since) < l.quiet:
		return fleet.Unasked
	case l.counts:
		return 0
	default:
		return fleet.Uncounted
	}
}

// gauges are the metrics that tell of requests, in Prometheus' text format: vLLM's, which NIM has without the prefix, and llama.cpp's. Of those that
// are served there must be one.
var gauges = map[string]struct{ served bool }{
	"vllm:num_requests_running": {served: true}, "vllm:num_requests_waiting": {},
	"num_requests_running": {served: true}, "num_requests_waiting": {},
	"llamacpp:requests_processing": {served: true}, "llamacpp:requests_deferred": {},
}

func ofGauges(body []byte) int {
	sum, known := 0.0, false
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, metricsMost)
	for lines.Scan() {
		name, value := sample(lines.Text())
		g, one := gauges[name]
		v, err := strconv.ParseFloat(value, 64)
		if !one || err != nil || v < 0 {
			continue
		}
		sum += v
		known = known || g.served
	}
	if !known {
		return fleet.Uncounted
	}
	return int(sum)
}

// sample reads a line such as `name{label="a b"} 3.0`; a timestamp may follow.
func sample(line string) (name, value string) {
	end := strings.IndexAny(line, "{ ")
	if end <= 0 || line[0] == '#' {
		return "", ""
	}
	name, rest := line[:end], line[end:]
	if at := strings.LastIndexByte(rest, '}'); at >= 0 {
		rest = rest[at+1:]
	}
	if fields := strings.Fields(rest); len(fields) > 0 {
		return name, fields[0]
	}
	return "", ""
}
