package slot

import (
	"slices"
	"testing"
)

func TestOOMCount_InBothVersionsOfCgroups(t *testing.T) {
	for text, want := range map[string]uint64{
		"low 0\nhigh 0\nmax 5\noom 2\noom_kill 3\noom_group_kill 0\n": 3,
		"oom_kill_disable 0\nunder_oom 0\noom_kill 4\n":               4,
	} {
		if got, known := oomCount([]byte(text)); got != want || !known {
			t.Errorf("%q: got %d, %v, want %d", text, got, known, want)
		}
	}
	if _, known := oomCount([]byte("oom_kill_disable 0\nunder_oom 0\n")); known {
		t.Error("a file without the count was taken to know it")
	}
}

func TestOOMFiles_AreThoseOfOurOwnCgroup(t *testing.T) {
	got := oomFiles("12:memory:/docker/abc\n5:cpu:/docker/abc\n0::/system.slice/nomad.service\n")
	want := []string{
		"/sys/fs/cgroup/memory/docker/abc/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control",
		"/sys/fs/cgroup/system.slice/nomad.service/memory.events", "/sys/fs/cgroup/memory.events",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
