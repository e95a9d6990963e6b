package main

import (
	"context"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/telemetry"
)

// openTelemetry makes what tells of requests, where it is configured.
func (s *server) openTelemetry(context.Context) (err error) {
	c := s.c.Config
	if c.API.AccessLog != "" {
		s.accessLog, err = telemetry.NewAccessLog(telemetry.AccessLogConfig{Path: c.API.AccessLog, Stdout: s.c.Stdout, Log: s.log("access_log")})
		if err != nil {
			return err
		}
	}
	if !telemetry.Configured(c.Telemetry.OTLPEndpoint, s.c.Getenv) {
		return nil
	}
	ratio := c.Telemetry.SampleRatio
	if ratio == 1 {
		ratio = -1 // then OTEL_TRACES_SAMPLER may say otherwise
	}
	s.tracer, err = telemetry.NewTracer(telemetry.TracerConfig{
		Endpoint: c.Telemetry.OTLPEndpoint, Protocol: c.Telemetry.OTLPProtocol, SampleRatio: ratio, Cluster: c.Cluster, Version: readVersion().Version,
		Activation: func(instance string) (fleet.Activation, bool) { return activator.LastActivation(s.activator, instance) },
		Getenv:     s.c.Getenv, Log: s.log("traces"),
	})
	return err
}

// reopenLogs has the access log's file opened anew, for whoever has renamed it.
func (s *server) reopenLogs() {
	if s.accessLog != nil {
		s.accessLog.Reopen()
	}
}

// telemetryStages end after whoever has something to tell.
func (s *server) telemetryStages() (stages []stage) {
	if s.accessLog != nil {
		stages = append(stages, stage{name: "the access log", run: s.accessLog.Run})
	}
	if s.tracer != nil {
		stages = append(stages, stage{name: "the traces", run: s.tracer.Run})
	}
	return stages
}

// metrics are all that /metrics shows but the process's own.
func (s *server) metrics() []*metrics.Set {
	all := []*metrics.Set{s.router.Metrics(), s.accounts.Metrics(), s.activator.Metrics(), s.ledger.Metrics(), s.webhooks.Metrics(), s.leadMetrics()}
	if s.accessLog != nil {
		all = append(all, s.accessLog.Metrics())
	}
	if s.tracer != nil {
		all = append(all, s.tracer.Metrics())
	}
	return all
}
