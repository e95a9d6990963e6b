package config

import (
	"strings"
	"testing"
)

func TestTelemetry(t *testing.T) {
	c, err := Options{BaseDir: "/etc/pilotlight"}.Parse("f.hcl", []byte(`
api { access_log = "access.log" }
telemetry {
  otlp_endpoint = "https://collector.example.com/otlp"
  otlp_protocol = "grpc"
  sample_ratio  = 0.25
}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Telemetry{OTLPEndpoint: "https://collector.example.com/otlp", OTLPProtocol: OTLPGRPC, SampleRatio: 0.25}
	if c.Telemetry != want || c.API.AccessLog != "/etc/pilotlight/access.log" {
		t.Errorf("got %+v and %q, want %+v and the path beside the file", c.Telemetry, c.API.AccessLog, want)
	}
	for text, want := range map[string]string{`"-"`: AccessLogStdout, `""`: ""} {
		c, err := Parse("f.hcl", []byte("api { access_log = "+text+" }"))
		if err != nil || c.API.AccessLog != want {
			t.Errorf("access_log %s: got %q, %v; want %q", text, c.API.AccessLog, err, want)
		}
	}
}

func TestTelemetryMistakes(t *testing.T) {
	for line, want := range map[string]string{
		`otlp_endpoint = "127.0.0.1:4318"`:                  "is no address of a collector",
		`otlp_endpoint = "http://user:secret@collector"`:    "holds a user's name",
		`otlp_endpoint = "http://collector:4318/v1/traces"`: "/v1/traces is added",
		`otlp_protocol = "http/json"`:                       `otlp_protocol "http/json" is unknown`,
		`sample_ratio = 2`:                                  "write a number from 0 to 1",
	} {
		_, err := Parse("f.hcl", []byte("telemetry {\n  "+line+"\n}\n"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "f.hcl:2: ") {
			t.Errorf("%s: got %v, want line 2 and %q", line, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want no secret in it", line, err)
		}
	}
}

func TestTelemetryNeedsARestart(t *testing.T) {
	old, _ := Parse("f.hcl", nil)
	next, err := Parse("f.hcl", []byte(`
api { access_log = "-" }
telemetry {
  otlp_endpoint = "http://127.0.0.1:4318"
  otlp_protocol = "grpc"
  sample_ratio  = 0.5
}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = "api.access_log, telemetry.otlp_endpoint, telemetry.otlp_protocol, telemetry.sample_ratio need a restart"
	if got := Diff(old, next).Fixed(); got == nil || got.Error() != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
