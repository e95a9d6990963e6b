package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/edge"
	"github.com/pilotlight-io/pilotlight/internal/export"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// The formats of usage, and of records the first two.
const (
	formatJSON  = "json" // one page; the others are everything
	formatLines = "jsonl"
	formatCSV   = "csv"
	formatFOCUS = "focus"
)

const (
	typeCSV   = "text/csv; charset=utf-8; header=present"
	typeLines = "application/jsonl"
)

// chunks is the body of an answer that is made page by page while it is read. fasthttp reads it in the connection's goroutine.
type chunks struct {
	next func() ([]byte, error) // io.EOF at the end
	rest []byte
	log  func(error)
}

// Read gives what is left of a page, then the next. An error cuts the connection, so that no part looks whole.
func (c *chunks) Read(p []byte) (n int, err error) {
	for len(c.rest) == 0 {
		if c.rest, err = c.next(); err != nil {
			if !errors.Is(err, io.EOF) {
				c.log(err)
			}
			return 0, err
		}
	}
	n = copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// stream answers with pages. The first is made before the answer begins, so that what is wrong with a query is an error like any other.
func (s *Server) stream(c *fiber.Ctx, contentType string, next func() ([]byte, error)) error {
	first, err := next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.Set(fiber.HeaderContentType, contentType)
	c.Set(fiber.HeaderCacheControl, "no-store")
	path := c.Path() // c is another request's once the body is read
	c.Context().SetBodyStream(&chunks{next: next, rest: first, log: func(err error) {
		s.c.Log.Error("an export was cut off", "path", path, "reason", err)
	}}, -1)
	return nil
}

// exportUsage answers all pages of a query in another format.
func (s *Server) exportUsage(c *fiber.Ctx, q ledger.Query, format string) error {
	values := query(c)
	for _, name := range []string{"limit", "cursor"} {
		if _, given := values[name]; given {
			return edge.Invalid(name, "format=%s has no pages; leave it out", format)
		}
	}
	if _, given := values["focus_version"]; given && format != formatFOCUS {
		return edge.Invalid("focus_version", "it goes with format=focus; leave it out")
	}
	switch format {
	case formatFOCUS:
		return s.exportFOCUS(c, q, export.FOCUSVersion(values["focus_version"]))
	case formatCSV, formatLines:
	default:
		return edge.Invalid("format", "%q is unknown; possible are json, jsonl, csv, focus", format)
	}
	var page bytes.Buffer
	write, contentType := export.JSONLines(&page), typeLines
	if format == formatCSV {
		contentType = typeCSV
		var err error
		if write, err = export.CSV(&page, q.By); err != nil {
			return err
		}
	}
	q.Limit = most
	return s.stream(c, contentType, pages(&page, func() (more bool, err error) {
		ctx, cancel := context.WithTimeout(s.ctx, askTimeout) // the handler has returned by then
		defer cancel()
		rows, next, err := s.c.Ledger.Usage(ctx, q)
		if err == nil && len(rows) == 0 && q.Cursor == "" {
			err = s.knownOrg(ctx, q.Org)
		}
		if err != nil {
			return false, err
		}
		q.Cursor = next
		return next != "", write(rows)
	}))
}

// pages gives what fill writes into a buffer, one page after the other.
func pages(page *bytes.Buffer, fill func() (more bool, err error)) func() ([]byte, error) {
	more := true
	return func() ([]byte, error) {
		if !more {
			return nil, io.EOF
		}
		var err error
		if more, err = fill(); err != nil {
			return nil, err
		}
		text := bytes.Clone(page.Bytes())
		page.Reset()
		return text, nil
	}
}

// exportFOCUS answers the bills of a month.
func (s *Server) exportFOCUS(c *fiber.Ctx, q ledger.Query, version export.FOCUSVersion) error {
	if version == "" {
		version = export.FOCUS14
	}
	month := q.From.Format("2006-01")
	if from, to, err := ledger.Month(month); err != nil || !q.From.Equal(from) || !q.To.Equal(to) {
		return edge.Invalid("from", "FOCUS is about bills; give from and to as the first days of one UTC month and of the next")
	}
	ctx, cancel := context.WithTimeout(s.ctx, closeTimeout)
	defer cancel()
	bills, err := s.c.Ledger.Bills(ctx, q.Org, month, q.By)
	if err == nil && len(bills) == 0 {
		err = s.knownOrg(ctx, q.Org)
	}
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := export.FOCUS(&body, version, bills); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, typeCSV)
	return c.Send(body.Bytes())
}

// exportRecords answers all records behind a cursor, one a line.
func (s *Server) exportRecords(c *fiber.Ctx, org, cursor, format string) error {
	if format != formatLines {
		return edge.Invalid("format", "%q is unknown; possible are json, jsonl", format)
	}
	if _, given := query(c)["limit"]; given {
		return edge.Invalid("limit", "format=%s has no pages; leave it out", format)
	}
	var page bytes.Buffer
	out := json.NewEncoder(&page)
	out.SetEscapeHTML(false)
	return s.stream(c, typeLines, pages(&page, func() (more bool, err error) {
		ctx, cancel := context.WithTimeout(s.ctx, askTimeout) // the handler has returned by then
		defer cancel()
		got, err := s.c.Ledger.Records(ctx, org, cursor, most)
		switch {
		case err != nil:
		case len(got.Damaged) > 0: // a line cannot say so, and without them the export would look whole
			err = &ledger.DamagedError{Damage: got.Damaged[0]}
		case len(got.Records) == 0 && cursor == "":
			err = s.knownOrg(ctx, org)
		}
		if err != nil {
			return false, err
		}
		cursor = got.Next
		for i := range got.Records {
			if err := out.Encode(&got.Records[i]); err != nil {
				return false, err
			}
		}
		return cursor != "", nil
	}))
}
