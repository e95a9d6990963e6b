package nomad

import (
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestWhyEnded(t *testing.T) {
	exit := func(code, signal, oom string) taskEvent {
		e := taskEvent{Type: api.TaskTerminated, DisplayMessage: "Exit Code: " + code}
		e.Details.ExitCode, e.Details.Signal, e.Details.OOMKilled = code, signal, oom
		return e
	}
	said := func(kind, words string) taskEvent { return taskEvent{Type: kind, DisplayMessage: words} }
	norestarts := taskEvent{Type: api.TaskNotRestarting, DisplayMessage: "Policy allows no restarts", FailsTask: true}
	for _, c := range []struct {
		status, words string
		events        []taskEvent
		want          string
		cause         fleet.Cause
	}{
		{"failed", "Failed tasks", []taskEvent{exit("1", "0", "false"), norestarts}, "exited with code 1", fleet.CauseEngine},
		{"failed", "Failed tasks", []taskEvent{exit("137", "9", "false"), norestarts}, "killed by signal 9", fleet.CauseEngine},
		{"failed", "Failed tasks", []taskEvent{exit("137", "0", "true"), norestarts}, "killed for want of memory (OOM)", fleet.CauseMemory},
		{"complete", "All tasks have completed", []taskEvent{exit("0", "", "")}, "exited with code 0", fleet.CauseEngine},
		{"failed", "Failed tasks", []taskEvent{said(api.TaskDriverFailure, "Failed to pull `far/engine:1`: not found"), norestarts}, "Failed to pull `far/engine:1`: not found", fleet.CauseImage},
		{"failed", "Failed tasks", []taskEvent{said(api.TaskDriverFailure, `requested docker runtime "nvidia" was not found`), norestarts}, `requested docker runtime "nvidia" was not found`, fleet.CausePlace},
		{"failed", "Failed tasks", []taskEvent{said(api.TaskDriverFailure, "invalid mount config: bind source path does not exist: /srv"), norestarts}, "invalid mount config: bind source path does not exist: /srv", fleet.CauseWeights},
		{"failed", "Failed tasks", []taskEvent{said(api.TaskArtifactDownloadFailed, "404"), norestarts}, "404", fleet.CauseImage},
		{"failed", "Failed tasks", []taskEvent{{Type: api.TaskKilling, DisplayMessage: "Template failed: permission denied", FailsTask: true}, said(api.TaskKilled, "Task successfully killed")}, "Template failed: permission denied", fleet.CauseRights},
		{"failed", "failed to setup alloc: no ports", nil, "the node could not start it: failed to setup alloc: no ports", fleet.CausePlace},
		{"lost", "alloc is lost since its node is down", []taskEvent{said(api.TaskStarted, "Task started by client")}, "its node is lost: alloc is lost since its node is down", fleet.CausePlace},
	} {
		a := &allocation{ClientStatus: c.status, ClientDescription: c.words, TaskStates: map[string]*taskState{label: {Events: c.events}}}
		if got, cause := whyEnded(a, label); got != c.want || cause != c.cause {
			t.Errorf("%v: got %q, %q, want %q, %q", c.events, got, cause, c.want, c.cause)
		}
	}
}

func TestFence_UndoesWhatOlderServersSubmitLater(t *testing.T) {
	var f fence
	f.raise(takeover{7, 100})
	f.raise(takeover{6, 200}) // which came late itself
	for _, c := range []struct {
		term  string
		index uint64
		want  bool
	}{{"6", 101, true}, {"6", 100, false}, {"7", 101, false}, {"8", 101, false}, {"", 101, false}} {
		if got := f.overrules(&job{Meta: map[string]string{metaTerm: c.term}, CreateIndex: c.index}); got != c.want {
			t.Errorf("term %q at %d: got %v, want %v", c.term, c.index, got, c.want)
		}
	}
}
