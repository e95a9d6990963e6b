package edge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Errors of this file are *openai.Error.

// CheckQuery refuses a parameter of a query that is not among known, or comes twice: a filter that was mistyped must not show everything.
func CheckQuery(args *fasthttp.Args, known []string) error {
	var seen []string
	for k := range args.All() {
		name := clip(string(k))
		switch {
		case slices.Contains(seen, name):
			return Invalid(name, "comes twice; leave one of them")
		case len(known) == 0:
			return Invalid(name, "unknown; there are no parameters here")
		case !slices.Contains(known, name):
			return Invalid(name, "unknown; possible are %s", strings.Join(known, ", "))
		}
		seen = append(seen, name)
	}
	return nil
}

// clip keeps a caller's word short enough to be repeated.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Query gives the parameters of a query that CheckQuery has let through.
func Query(args *fasthttp.Args) map[string]string {
	values := make(map[string]string, args.Len())
	for k, v := range args.All() {
		values[string(k)] = string(v)
	}
	return values
}

// Period reads the parameters from and to: days or moments, in UTC. An absent one is the zero time.
func Period(values map[string]string) (from, to time.Time, wrong error) {
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

func moment(name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, Invalid(name, "%q is no moment; write YYYY-MM-DD or RFC 3339, such as 2026-03-01T00:00:00Z", clip(value))
}

// PageSize reads the parameter limit: 0 = it is absent.
func PageSize(values map[string]string, most int) (int, error) {
	value, given := values["limit"]
	if !given {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, Invalid("limit", "%q is no page size; write a number from 1 to %d", clip(value), most)
	}
	return n, nil
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
