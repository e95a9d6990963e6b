package nomad

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

func TestMeta_CarriesSpecAndTerm(t *testing.T) {
	want := &fleet.Spec{GPUs: 4, MaxConcurrency: 32, ParkedMemory: 1 << 30, ParkedRoom: 1 << 29, Kind: fleet.EngineVLLM, Args: []string{`--note="a b"`}}
	text, err := formatSpec(want)
	if err != nil {
		t.Fatal(err)
	}
	meta := map[string]string{metaSpec: text, metaTerm: formatTerm(math.MaxUint64)}
	if diff := cmp.Diff(want, parseSpec(meta)); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if got := parseTerm(meta); got != math.MaxUint64 {
		t.Errorf("term: got %d, want %d", got, uint64(math.MaxUint64))
	}
}

func TestMeta_OfAJobByHandSaysNothing(t *testing.T) {
	for _, meta := range []map[string]string{nil, {metaSpec: "", metaTerm: ""}, {metaSpec: "{", metaTerm: "-1"}} {
		if s, term := parseSpec(meta), parseTerm(meta); s != nil || term != 0 {
			t.Errorf("%v: got %+v and term %d, want neither", meta, s, term)
		}
	}
}
