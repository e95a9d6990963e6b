package nomad

import (
	"context"
	"log/slog"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// news is what is logged of an instance on its way; the same twice is logged once.
type news struct {
	level   slog.Level
	message string
	reason  string // Nomad's own words
}

// placing is the news of an instance without a node.
func placing(s *fleet.Sighting, p *placement) news {
	if s.Unplaced == fleet.UnplacedImpossible {
		return news{slog.LevelWarn, "no node can hold the instance", s.Failure}
	}
	return news{slog.LevelInfo, "the instance waits for room", exhausted(p)}
}

// starting is the news of an instance that has a node, and no process yet.
func starting(a *allocation) news {
	task := a.TaskStates[label]
	if task == nil || len(task.Events) == 0 || task.State != "pending" {
		return news{}
	}
	switch last := &task.Events[len(task.Events)-1]; last.Type {
	case api.TaskDriverMessage:
		return news{slog.LevelInfo, "the image is pulled", words(last)}
	case "Template": // such as a Nomad Variable that does not exist: Nomad waits for it
		return news{slog.LevelWarn, "the instance waits for its secrets", words(last)}
	}
	return news{}
}

// words are an event's.
func words(e *taskEvent) string {
	if e.DisplayMessage != "" {
		return e.DisplayMessage
	}
	return e.DriverMessage
}

// logChange logs what is new of an instance.
func (w *watch) logChange(s *fleet.Sighting, n news) {
	if n.message != "" && w.logged[s.ID] != n {
		w.n.log.Log(context.Background(), n.level, n.message, "model", s.Model, "instance", s.ID, "reason", n.reason)
	}
	if n.message != "" {
		w.logged[s.ID] = n
	}
}
