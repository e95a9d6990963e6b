package activator

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/activator/roster"
	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// allSlots stands for the sources of all slots where names must be few.
const allSlots = "slots"

// Sources tells how each source stands that has spoken, or was found lost, in this life; in the order of their names.
func (a *Activator) Sources() []fleet.SourceStatus {
	a.planning.Lock()
	defer a.planning.Unlock()
	if a.planner == nil {
		return nil
	}
	return a.planner.Sources()
}

// logNews tells the log which sources were lost, or are back. Of an outage the log has its beginning, its end, and what changes its kind: that it goes on is for
// whoever looks closely.
func logNews(log *slog.Logger, n *roster.News) {
	if n.Lost == nil {
		log.Info("source is back", "source", n.Source, "after", n.After)
		return
	}
	level := slog.LevelWarn
	if n.Again {
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "source lost", "source", n.Source, "reason", n.Lost)
}

// writeSources writes whether the sources can be heard; those of all slots are one.
func writeSources(w io.Writer, sources []fleet.SourceStatus) {
	up := map[string]uint64{}
	var names []string
	for _, s := range sources {
		name := s.Name
		if strings.HasPrefix(name, fleet.SlotSource) {
			name = allSlots
		}
		if _, seen := up[name]; !seen {
			up[name], names = 1, append(names, name)
		}
		if s.Lost != "" {
			up[name] = 0
		}
	}
	for _, name := range names {
		metrics.WriteGaugeUint64(w, fmt.Sprintf("pilotlight_source_up{source=%q}", name), up[name])
	}
}
