package config

import (
	"net/url"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Telemetry says where traces go. What it leaves open, the standard OTEL_* variables say.
type Telemetry struct {
	OTLPEndpoint string  // of a collector, a URL; "" = that of OTEL_EXPORTER_OTLP_ENDPOINT, and without it there are no traces
	OTLPProtocol string  // OTLPHTTP or OTLPGRPC; "" = that of OTEL_EXPORTER_OTLP_PROTOCOL, else OTLPHTTP
	SampleRatio  float64 // of requests that come without a sampling decision; 1 = as OTEL_TRACES_SAMPLER says, else all
}

// The protocols of OTLP.
const (
	OTLPHTTP = "http/protobuf"
	OTLPGRPC = "grpc"
)

// AccessLogStdout as api.access_log means standard output.
const AccessLogStdout = "-"

type telemetryHCL struct {
	OTLPEndpoint *hcl.Attribute `hcl:"otlp_endpoint,optional"`
	OTLPProtocol *hcl.Attribute `hcl:"otlp_protocol,optional"`
	SampleRatio  *hcl.Attribute `hcl:"sample_ratio,optional"`
}

func (r *reader) telemetry(f *telemetryHCL, t *Telemetry) {
	if f == nil {
		return
	}
	r.collector(f.OTLPEndpoint, &t.OTLPEndpoint)
	r.choice(f.OTLPProtocol, &t.OTLPProtocol, "", OTLPHTTP, OTLPGRPC)
	r.share(f.SampleRatio, &t.SampleRatio)
}

// collector reads the address of a collector, without the path of traces, which the protocol knows.
func (r *reader) collector(attr *hcl.Attribute, to *string) {
	const right = `a URL in quotes, such as "http://127.0.0.1:4318"`
	var s string
	if !r.text(attr, &s, right) || s == "" {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		r.wrong(attr.Expr.Range(), "%s is no address of a collector; write %s", attr.Name, right)
	case u.User != nil:
		r.wrong(attr.Expr.Range(), "%s holds a user's name; leave it out: what a collector asks for is in OTEL_EXPORTER_OTLP_HEADERS", attr.Name)
	case u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1/traces"):
		r.wrong(attr.Expr.Range(), "%s says more than where the collector is; write %s: /v1/traces is added", attr.Name, right)
	default:
		*to = s
	}
}

// accessLog reads the path of a file, "-" or "".
func (r *reader) accessLog(attr *hcl.Attribute, to *string) {
	var s string
	if !r.text(attr, &s, `a path in quotes, or "-"`) || s == "" {
		return
	}
	if s == AccessLogStdout {
		*to = s
		return
	}
	r.path(attr, to)
}

var telemetryAttributes = []attribute[Telemetry]{
	{key: "otlp_endpoint", effect: effectRestart, text: func(t *Telemetry) string { return quoted(t.OTLPEndpoint) }},
	{key: "otlp_protocol", effect: effectRestart, text: func(t *Telemetry) string { return quoted(t.OTLPProtocol) }},
	{key: "sample_ratio", effect: effectRestart, text: func(t *Telemetry) string { return decimal(t.SampleRatio) }},
}
