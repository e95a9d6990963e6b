package telemetry

import (
	"time"
	"unicode/utf8"
)

// line is a line of the access log. Its names are those of usage records, so that both can be joined by request_id. What a request did not come to
// is null, so that every line has the same members.
type line struct {
	At               string  `json:"at"` // RFC 3339 in UTC, with microseconds
	RequestID        string  `json:"request_id"`
	TraceID          *string `json:"trace_id"`
	Org              *string `json:"org"`
	TokenID          *string `json:"token_id"`
	Method           string  `json:"method"`
	Path             string  `json:"path"`
	Model            *string `json:"model"`
	Stream           bool    `json:"stream"`
	Instance         *string `json:"instance"`
	Start            *string `json:"start"`
	Status           int     `json:"status"`
	Code             *string `json:"code"`
	TookUS           int64   `json:"took_us"`
	QueueUS          int64   `json:"queue_us"`
	ActivateUS       int64   `json:"activate_us"`
	TTFTUS           int64   `json:"ttft_us"`
	UpstreamUS       int64   `json:"upstream_us"`
	BilledUS         int64   `json:"billed_us"`
	BytesIn          int64   `json:"bytes_in"`
	BytesOut         int64   `json:"bytes_out"`
	PromptTokens     *int64  `json:"prompt_tokens"`
	CompletionTokens *int64  `json:"completion_tokens"`
}

const (
	instantLayout = "2006-01-02T15:04:05.000000Z"
	pathMost      = 256 // bytes of a path that are logged
)

func lineOf(r *Request) line {
	l := line{
		At: r.At.UTC().Format(instantLayout), RequestID: r.ID, TraceID: known(r.TraceID), Org: known(r.Org), TokenID: known(r.TokenID),
		Method: r.Method, Path: clip(r.Path), Model: known(r.Model), Stream: r.Stream, Instance: known(r.Instance), Start: known(r.Start), Status: r.Status, Code: known(r.Code),
		TookUS: micros(r.Took), QueueUS: micros(r.Queue), ActivateUS: micros(r.Activate), TTFTUS: micros(r.TTFT), UpstreamUS: micros(r.Upstream), BilledUS: micros(r.Billed),
		BytesIn: r.BytesIn, BytesOut: r.BytesOut,
	}
	if r.TokensKnown {
		l.PromptTokens, l.CompletionTokens = &r.PromptTokens, &r.CompletionTokens
	}
	return l
}

func known(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func micros(d time.Duration) int64 { return max(d.Microseconds(), 0) }

// clip bounds a caller's word, at the end of a character.
func clip(s string) string {
	if len(s) <= pathMost {
		return s
	}
	end := pathMost
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
