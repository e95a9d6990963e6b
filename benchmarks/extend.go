package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// extendCmd makes two weeks with a daily profile and models that rise together of a trace of one week.
type extendCmd struct {
	Base string `arg:"" type:"existingfile" help:"The trace of a week, with its models beside it."`
	To   string `arg:"" type:"path" help:"The trace to write; its models are written beside it."`
	Seed uint64 `default:"1" help:"The same seed gives the same trace."`
}

func (c *extendCmd) Run(context.Context) error {
	profiles, err := trace.ReadProfiles(trace.ProfilesBeside(c.Base))
	if err != nil {
		return err
	}
	r, err := trace.Open(c.Base, profiles)
	if err != nil {
		return err
	}
	defer r.Close()
	var requests []trace.Request
	for {
		var q trace.Request
		if err := r.Read(&q); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		requests = append(requests, q)
	}
	f, err := os.Create(c.To)
	if err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	z := gzip.NewWriter(f)
	if err := errors.Join(trace.Extend(requests, profiles, c.Seed, z), z.Close(), f.Close()); err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	models, err := os.ReadFile(trace.ProfilesBeside(c.Base))
	if err != nil {
		return err
	}
	return os.WriteFile(trace.ProfilesBeside(c.To), models, 0o644)
}
