package nomad

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// whyEnded says why an allocation has ended that nobody stopped, as the node saw it, and what is to blame. What Nomad adds of its own, that its policy
// allows no restarts and that tasks have failed, says nothing.
func whyEnded(a *allocation, task string) (string, fleet.Cause) {
	if a.ClientStatus == api.AllocClientStatusLost {
		return "its node is lost" + because(a.ClientDescription, a.DesiredDescription), fleet.CausePlace
	}
	if state := a.TaskStates[task]; state != nil {
		for k := range slices.Backward(state.Events) {
			if text, cause := whyTaskEnded(&state.Events[k]); text != "" {
				return text, cause
			}
		}
	}
	if a.ClientStatus == api.AllocClientStatusComplete {
		return "it has ended by itself", fleet.CauseEngine
	}
	return "the node could not start it" + because(a.ClientDescription), fleet.CausePlace
}

// because gives the first words that are not Nomad's usual ones.
func because(words ...string) string {
	for _, w := range words {
		if w != "" && w != "Failed tasks" && w != "No tasks have started" && w != "All tasks have completed" {
			return ": " + w
		}
	}
	return ""
}

// whyTaskEnded says why a task has ended, where the event tells.
func whyTaskEnded(e *taskEvent) (string, fleet.Cause) {
	switch e.Type {
	case api.TaskTerminated:
		return exited(e)
	case api.TaskArtifactDownloadFailed:
		return words(e), fleet.CauseImage
	case api.TaskFailedValidation:
		return words(e), fleet.CauseEngine
	case api.TaskDriverFailure, api.TaskSetupFailure:
		return words(e), causeOf(words(e))
	case api.TaskKilling, "Template":
		if e.FailsTask { // its secrets could not be had
			return words(e), fleet.CauseRights
		}
	}
	return "", ""
}

// exited says how a process has ended.
func exited(e *taskEvent) (string, fleet.Cause) {
	d := &e.Details
	switch {
	case d.OOMKilled == "true" || strings.Contains(e.DisplayMessage, "OOM Killed"):
		return "killed for want of memory (OOM)", fleet.CauseMemory
	case d.Signal != "" && d.Signal != "0":
		return "killed by signal " + d.Signal, fleet.CauseEngine
	case d.ExitCode != "":
		return "exited with code " + d.ExitCode, fleet.CauseEngine
	}
	return words(e), fleet.CauseEngine
}

// signs are words of a driver by which it can be told what is to blame.
var signs = []struct {
	cause fleet.Cause
	words []string
}{
	{fleet.CauseImage, []string{"pull", "no such image", "image not found", "manifest", "repository"}},
	{fleet.CauseWeights, []string{"bind source path", "mount", "volume"}},
}

// causeOf says what is to blame for what a driver says: the machine, where nothing else is known.
func causeOf(text string) fleet.Cause {
	text = strings.ToLower(text)
	for _, s := range signs {
		if slices.ContainsFunc(s.words, func(word string) bool { return strings.Contains(text, word) }) {
			return s.cause
		}
	}
	return fleet.CausePlace
}
