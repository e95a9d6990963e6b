package main

import (
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

func TestConnectionsIn(t *testing.T) {
	for _, tt := range []struct {
		descriptors, configured int
		want                    edge.Room
		wrong                   string
	}{
		{descriptors: 65536, want: edge.Room{Public: 42624, Both: 56832, Admin: 512}},
		{descriptors: 65536, configured: 1000, want: edge.Room{Public: 1000, Both: 56832, Admin: 512}},
		{descriptors: 1024, configured: 1000, wrong: "api.max_connections is 1000, but with the limit of 1024 open files (ulimit -n) there is room for 624"},
		{configured: 1 << 20, want: edge.Room{Public: 1 << 20, Both: 1879047680, Admin: 512}}, // the limit is not known
	} {
		got, err := connectionsIn(tt.descriptors, tt.configured)
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%d of %d: got %v, want %q", tt.configured, tt.descriptors, err, tt.wrong)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%d of %d: got %+v, %v, want %+v", tt.configured, tt.descriptors, got, err, tt.want)
		}
	}
}
