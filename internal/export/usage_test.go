package export_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/export"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

func TestCSV_HasAColumnForEachKeyAndDecimalMoney(t *testing.T) {
	row := ledger.UsageRow{
		Org: "zoo", Model: `a, "b"`, TokenID: "t1", Day: "2025-04-30", Hour: "2025-04-30T23:00:00Z",
		Requests: 1, PromptTokens: 8, CompletionTokens: 100, BilledUS: 1000000, GPUUS: 2000000, Cost: -2291667,
	}
	for by, want := range map[ledger.By]string{
		"model":     "org,model,#\r\nzoo,\"a, \"\"b\"\"\",$\r\n",
		"token":     "org,model,token_id,#\r\nzoo,\"a, \"\"b\"\"\",t1,$\r\n",
		"token,day": "org,model,token_id,day,#\r\nzoo,\"a, \"\"b\"\"\",t1,2025-04-30,$\r\n",
		"hour":      "org,model,hour,#\r\nzoo,\"a, \"\"b\"\"\",2025-04-30T23:00:00Z,$\r\n",
	} {
		want = strings.NewReplacer("#", "requests,prompt_tokens,completion_tokens,billed_us,gpu_us,cost_nano_usd,cost_usd",
			"$", "1,8,100,1000000,2000000,-2291667,-0.002291667").Replace(want)
		var out bytes.Buffer
		write, err := export.CSV(&out, by)
		if err != nil {
			t.Fatal(err)
		}
		if err := write([]ledger.UsageRow{row}); err != nil || out.String() != want {
			t.Errorf("by %s: got %q, %v, want %q", by, out.String(), err, want)
		}
	}
}

func TestJSONLines_HasOneObjectALine(t *testing.T) {
	rows := []ledger.UsageRow{{Org: "a<b", Model: "m"}, {Org: "c", Model: "m"}}
	var out bytes.Buffer
	if err := export.JSONLines(&out)(rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"org":"a<b"`) {
		t.Fatalf("got %q", lines)
	}
	for i, line := range lines {
		var got ledger.UsageRow
		if err := json.Unmarshal([]byte(line), &got); err != nil || got != rows[i] {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}
