// Package telemetry tells the world outside of requests: an access log in JSON lines, and traces by OTLP.
//
// It promises that neither ever costs a request more than a copy of its figures and a look at a queue: what the queue does not hold is dropped and
// counted, whatever a disk or a collector does. Neither holds a prompt, an answer, a token's secret or an address of an engine.
package telemetry
