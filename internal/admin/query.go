package admin

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// checkQuery refuses a parameter that is not among known, or comes twice: a filter that was mistyped must not show everything.
func checkQuery(c *fiber.Ctx, known []string) error {
	seen := map[string]bool{}
	for k := range c.Request().URI().QueryArgs().All() {
		key := string(k)
		switch {
		case seen[key]:
			return invalid(key, "comes twice; leave one of them")
		case len(known) == 0:
			return invalid(key, "unknown; there are no parameters here")
		case !slices.Contains(known, key):
			return invalid(key, "unknown; possible are %s", strings.Join(known, ", "))
		}
		seen[key] = true
	}
	return nil
}

// query gives the parameters of a request's query, which checkQuery has let through.
func query(c *fiber.Ctx) map[string]string {
	values := map[string]string{}
	for k, v := range c.Request().URI().QueryArgs().All() {
		values[string(k)] = string(v)
	}
	return values
}

// period reads from and to: days or moments, in UTC. An absent one is the zero time.
func period(values map[string]string) (from, to time.Time, err error) {
	if from, err = moment("from", values["from"]); err != nil {
		return from, to, err
	}
	if to, err = moment("to", values["to"]); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, invalid("to", "must be after from; the moment itself is not included any more")
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
	return time.Time{}, invalid(name, "%q is no moment; write YYYY-MM-DD or RFC 3339, such as 2026-03-01T00:00:00Z", value)
}

// most is how many rows one page may have.
const most = 1000

func limit(values map[string]string) (int, error) {
	value, given := values["limit"]
	if !given {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, invalid("limit", "%q is no page size; write a number from 1 to %d", value, most)
	}
	return n, nil
}
