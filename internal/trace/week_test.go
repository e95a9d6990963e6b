package trace_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trace"
)

// readTrace reads a committed trace.
func readTrace(t *testing.T, name string) ([]trace.Request, []trace.Profile) {
	t.Helper()
	path := filepath.Join("..", "..", "benchmarks", "traces", name)
	profiles, err := trace.ReadProfiles(trace.ProfilesBeside(path))
	if err != nil {
		t.Fatal(err)
	}
	r, err := trace.Open(path, profiles)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []trace.Request
	for {
		var q trace.Request
		if err := r.Read(&q); errors.Is(err, io.EOF) {
			return all, profiles
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, q)
	}
}

func TestExtend_MakesTheCommittedTrace(t *testing.T) {
	requests, profiles := readTrace(t, "node8_dev.csv.gz")
	var got bytes.Buffer
	if err := trace.Extend(requests, profiles, 1, &got); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join("..", "..", "benchmarks", "traces", "week8_dev.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the committed trace is not what seed 1 gives: %d bytes, and %d", len(want), got.Len())
	}
	var other bytes.Buffer
	if err := trace.Extend(requests, profiles, 2, &other); err != nil || bytes.Equal(got.Bytes(), other.Bytes()) {
		t.Errorf("another seed gave the same trace, or %v", err)
	}
}

// A working hour has many times the arrivals of a night's, and the weekend fewer than the days before it.
func TestExtend_DaysHaveAProfile(t *testing.T) {
	requests, _ := readTrace(t, "week8_dev.csv.gz")
	var night, noon, week, weekend int
	for _, q := range requests {
		switch hour := int(q.At.Hours()) % 24; {
		case hour >= 1 && hour < 5:
			night++
		case hour >= 13 && hour < 17:
			noon++
		}
		if int(q.At.Hours()/24)%7 < 5 {
			week++
		} else {
			weekend++
		}
	}
	if noon < 4*night || weekend*5 > week*2*3/4 {
		t.Errorf("got %d arrivals from 13 to 17 and %d from 1 to 5, %d on working days and %d on weekends", noon, night, week, weekend)
	}
	if last := requests[len(requests)-1].At; last < 13*24*time.Hour || last > 14*24*time.Hour {
		t.Errorf("it ends after %s, want two weeks", last)
	}
}
