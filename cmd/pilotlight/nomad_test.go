package main

import (
	"testing"
)

func TestNomad_EveryModelOfTheCatalogueStreamsFromCold(t *testing.T) {
	c, sim := startShared(t)
	s := startServe(t, nomadFile{cluster: c, name: "eight", sim: sim, args: []string{"--sim-speed", "500"}, models: catalogueIDs(), settings: `  idle_after = "2s"`})
	s.awaitReady(t)
	for _, m := range catalogueIDs() {
		a := s.mustChat(t, m, true)
		t.Log(m, a.header.Get("X-Pilotlight-Start"), a.header.Get("Server-Timing"))
	}
	t.Log(s.stderr)
}
