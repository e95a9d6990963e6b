package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// The protocols of OTLP that are spoken.
const (
	ProtocolHTTP = "http/protobuf"
	ProtocolGRPC = "grpc"
)

// Configured reports whether traces are to be sent, by the config's endpoint or by the standard variables, which can also turn them off.
func Configured(endpoint string, getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return endpoint != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

func (c *TracerConfig) protocol() (string, error) {
	p := cmp.Or(c.Protocol, c.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), c.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), ProtocolHTTP)
	if p != ProtocolHTTP && p != ProtocolGRPC {
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; write %s or %s", p, ProtocolHTTP, ProtocolGRPC)
	}
	return p, nil
}

// exporter gives that of the SDK. What the config leaves open, it reads from the OTEL_* variables.
func (c *TracerConfig) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	p, err := c.protocol()
	if err != nil {
		return nil, err
	}
	if p == ProtocolGRPC {
		var options []otlptracegrpc.Option
		if c.Endpoint != "" {
			options = append(options, otlptracegrpc.WithEndpointURL(c.Endpoint))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	var options []otlptracehttp.Option
	if c.Endpoint != "" { // as OTEL_EXPORTER_OTLP_ENDPOINT, it is the collector's, not that of traces alone
		options = append(options, otlptracehttp.WithEndpointURL(strings.TrimRight(c.Endpoint, "/")+"/v1/traces"))
	}
	return otlptracehttp.New(ctx, options...)
}

// resource says which server the spans are of. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES beat it.
func (c *TracerConfig) resource() (*resource.Resource, error) {
	return resource.New(context.Background(),
		resource.WithAttributes(semconv.ServiceName("pilotlight"), semconv.ServiceVersion(c.Version), attribute.String("pilotlight.cluster", c.Cluster)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv(),
	)
}
