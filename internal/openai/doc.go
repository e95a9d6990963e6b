// Package openai speaks the wire format of the OpenAI API: it inspects request bodies, scans event streams, extracts token
// usage and shapes errors, chunks and model lists.
//
// It promises that what it reports about a body is what any engine would read in it: the scan is as strict as the strictest
// parser, escaped keys are decoded, and a key that decides where a request goes may stand there once only. It promises that
// an event stream is cut at whole events, wherever the network has cut it before, and that no error message that it lets
// through from an engine shows an address, a path or a stack.
//
// It never does I/O, starts no goroutine, keeps no state between requests, and never copies a request body. The hot path
// (Inspect, Rewrite, Scanner, the Append functions) allocates nothing when its receivers are reused.
package openai
