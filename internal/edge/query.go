package edge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Query gives the parameters of a request's query. One that is not among known, or comes twice, is an error that names it: a
// filter that was mistyped must not show everything.
func Query(args *fasthttp.Args, known ...string) (map[string]string, *openai.Error) {
	values := map[string]string{}
	for k, v := range args.All() {
		key := string(k)
		_, twice := values[key]
		switch {
		case twice:
			return nil, Invalid(key, "comes twice; leave one of them")
		case !slices.Contains(known, key) && len(known) == 0:
			return nil, Invalid(key, "unknown; there are no parameters here")
		case !slices.Contains(known, key):
			return nil, Invalid(key, "unknown; possible are %s", strings.Join(known, ", "))
		}
		values[key] = string(v)
	}
	return values, nil
}

// Period reads the parameters from and to: days or moments, in UTC. An absent one is the zero time.
func Period(values map[string]string) (from, to time.Time, wrong *openai.Error) {
	if from, wrong = moment("from", values["from"]); wrong != nil {
		return from, to, wrong
	}
	if to, wrong = moment("to", values["to"]); wrong != nil {
		return from, to, wrong
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, Invalid("to", "must be after from; the moment itself is not included any more")
	}
	return from, to, nil
}

func moment(name, value string) (time.Time, *openai.Error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, Invalid(name, "%q is no moment; write YYYY-MM-DD or RFC 3339, such as 2026-03-01T00:00:00Z", value)
}

// Invalid refuses one field of a body or one parameter of a query; an empty name refuses none in particular.
func Invalid(field, format string, args ...any) *openai.Error {
	e := openai.NewError(openai.CodeInvalidRequest, fmt.Sprintf(format, args...))
	if field != "" {
		e.Param = &field
		e.Message = field + ": " + e.Message
	}
	return e
}

// Bearer gives the token of a request's Authorization, part of the request's memory; nil for none.
func Bearer(ctx *fasthttp.RequestCtx) []byte {
	const scheme = "bearer "
	v := ctx.Request.Header.PeekCanonical(headerAuthorization)
	if len(v) < len(scheme) {
		return nil
	}
	for i := range scheme {
		if c := v[i]; c != scheme[i] && (c < 'A' || c > 'Z' || c|0x20 != scheme[i]) {
			return nil
		}
	}
	return v[len(scheme):]
}

var headerAuthorization = []byte("Authorization")
