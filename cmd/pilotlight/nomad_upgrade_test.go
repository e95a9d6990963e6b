package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// build builds pilotlight with these flags.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pilotlight")
	args := append(append([]string{"build"}, flags...), "-o", program, "github.com/pilotlight-io/pilotlight/cmd/pilotlight")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("building pilotlight: %v\n%s", err, out)
	}
	return program
}

// awaitRecords waits until so many requests have their records, and no more: those of another server are there half a second after their requests.
func (m *members) awaitRecords(want int) {
	m.Helper()
	eventually(m.T, 10*time.Second, func() string {
		if got := len(m.all[0].records(m.T)); got != want {
			return fmt.Sprintf("there are %d records of %d requests", got, want)
		}
		return ""
	})
}

// TestNomad_RollingUpgradeLosesNothing replaces the servers of a cluster by those of another build, one after the other, under load: no request fails, and each one
// has its record.
func TestNomad_RollingUpgradeLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Nomad, Consul and Postgres; not in short runs")
	}
	m := newMembers(t, "rolling", memberModels()[0])
	hot := m.f.models[0].id
	next := build(t, "-ldflags=-s -w") // and the tests' own is the one before
	m.begin()
	m.begin()
	leader, _ := m.leader()
	if err := holdHot(t, leader, hot); err != nil {
		t.Fatal(err)
	}
	for _, s := range m.all {
		s.mustChat(t, hot, true)
	}
	before := len(m.all)
	m.awaitRecords(before)
	var hots tally
	end := m.loads(m.all, hot, &hots)
	time.Sleep(2 * time.Second)
	m.program = next
	for _, old := range m.all {
		m.replace(old)
		time.Sleep(2 * time.Second)
	}
	end()
	sum := sum(&hots)
	t.Logf("while both servers were replaced: %+v", sum)
	m.awaitRecords(before + sum.Requests)
	servers, err := m.all[1].admin(t).Servers(t.Context())
	if err != nil || len(servers) != 2 {
		t.Fatalf("got the servers %+v, %v, want two", servers, err)
	}
	for _, s := range servers {
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.PID)); err != nil || program != next {
			t.Errorf("server %d is of %s (%v), want %s", s.PID, program, err, next)
		}
	}
	leader, _ = m.leader()
	if _, err := leader.admin(t).StopModel(t.Context(), hot); err != nil {
		t.Error(err)
	}
	eventually(t, time.Minute, func() string {
		if jobs := runningJobs(t, m.f.cluster, m.f.name); len(jobs) != 0 {
			return fmt.Sprintf("jobs %v run", jobs)
		}
		return ""
	})
}
