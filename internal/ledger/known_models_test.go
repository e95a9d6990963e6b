package ledger_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func TestMetrics_OfKnownModelsAreThereFromTheStart(t *testing.T) {
	ctx := t.Context()
	st, err := storetest.TryOpen(t, filepath.Join(t.TempDir(), "pilotlight.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l, err := ledger.Open(ctx, ledger.Config{Dir: t.TempDir(), Store: st, Models: []string{"m/one"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Configure([]string{"m/two"})
	var out bytes.Buffer
	l.Metrics().WritePrometheus(&out)
	for _, model := range []string{"m/one", "m/two"} {
		if line := `pilotlight_billed_gpu_seconds_total{model="` + model + `"} 0`; !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %s in:\n%s", line, out.String())
		}
	}
}
