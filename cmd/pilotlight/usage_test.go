package main

import (
	"math"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func TestUsage_TheSumOfItsRowsStopsAtTheMost(t *testing.T) {
	rows := []ledger.UsageRow{
		{Org: "a", Model: "m", Requests: 1, PromptTokens: math.MaxInt64, BilledUS: 5, Cost: math.MaxInt64},
		{Org: "b", Model: "m", Requests: 1, PromptTokens: 1, BilledUS: 5, Cost: 1},
	}
	var out strings.Builder
	if err := usageTable(ledger.ByModel, rows).write(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if got := strings.Fields(lines[3]); strings.Join(got, " ") != "total - 2 9223372036854775807 0 0.000010 0.000000 9223372036.854775807" {
		t.Errorf("got %q, want sums that stop at the most", got)
	}
}
