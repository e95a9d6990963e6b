//go:build linux

package chaos_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// goesToZero waits until nothing runs for the models: in the Pilotlights' eyes, in Nomad's, in Consul's, and in the system's.
func (s *site) goesToZero(t *testing.T) {
	t.Helper()
	s.eventually(t, 2*time.Minute, func() error {
		for _, l := range s.lights {
			instances, err := l.Admin(s).Instances(context.Background())
			if err != nil || len(instances) > 0 {
				return fmt.Errorf("%s lists the instances %+v, %w", l.name, instances, err)
			}
		}
		var jobs []struct {
			ID, Status string
			Meta       map[string]string
		}
		if err := s.askNomad(http.MethodGet, "/v1/jobs?meta=true", nil, &jobs); err != nil {
			return err
		}
		for _, j := range jobs {
			if j.Meta["pilotlight_cluster"] == clusterID && j.Status != "dead" {
				return fmt.Errorf("job %s is %s", j.ID, j.Status)
			}
		}
		var allocations []struct{ ID, JobID, ClientStatus string }
		if err := s.askNomad(http.MethodGet, "/v1/allocations", nil, &allocations); err != nil {
			return err
		}
		for _, a := range allocations {
			if a.ClientStatus == "running" || a.ClientStatus == "pending" || a.ClientStatus == "unknown" {
				return fmt.Errorf("allocation %s of %s is %s", a.ID, a.JobID, a.ClientStatus)
			}
		}
		for _, service := range []string{"pilotlight-engine", "pilotlight-slot"} {
			var entries []struct{ ServiceID string }
			if err := s.askConsul("/v1/catalog/service/"+service, &entries); err != nil || len(entries) > 0 {
				return fmt.Errorf("Consul lists %s: %+v, %w", service, entries, err)
			}
		}
		if left := s.strangers(); len(left) > 0 {
			return fmt.Errorf("processes are left: %v", left)
		}
		return nil
	})
}

// strangers are the processes that nobody has started to stay.
func (s *site) strangers() (lines []string) {
	ours := map[int]bool{1: true, os.Getpid(): true}
	for _, p := range s.everybody() {
		ours[p.pid()] = true
	}
	for pid, line := range commandLines() {
		words := strings.Split(strings.TrimRight(line, "\x00"), "\x00")
		switch {
		case ours[pid], strings.Contains(line, "postgres"):
		case strings.HasPrefix(words[0], s.Plugins): // of Nomad's clients, which end with them
		default:
			lines = append(lines, fmt.Sprint(pid, " ", strings.Join(words, " ")))
		}
	}
	return lines
}

// end stops the Pilotlights in order, and tells their logs where the test has failed.
func (s *site) end(t *testing.T) {
	for _, p := range s.everybody() {
		_ = p.signal(syscall.SIGCONT)
	}
	for _, l := range s.lights {
		if err := l.stop(time.Minute); err != nil && !t.Failed() {
			t.Error(err)
		}
	}
	if !t.Failed() {
		return
	}
	for _, l := range s.lights {
		t.Logf("log of %s:\n%s", l.name, l.lastWords(60_000))
	}
}
