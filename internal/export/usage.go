package export

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// A Usage writes rows of usage, some at a time. Nothing is kept back between calls.
type Usage func(rows []ledger.UsageRow) error

// CSV writes usage as CSV (RFC 4180): a header that names the columns as the API does, then rows. by is what the rows were
// queried with; it adds token_id, day and hour. cost_usd is cost_nano_usd in dollars.
func CSV(w io.Writer, by ledger.By) (Usage, error) {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	header := []string{"org", "model"}
	if by.HasToken() {
		header = append(header, "token_id")
	}
	if by.HasDay() {
		header = append(header, "day")
	}
	if by.HasHour() {
		header = append(header, "hour")
	}
	out.Write(append(header, "requests", "prompt_tokens", "completion_tokens", "billed_us", "gpu_us", "cost_nano_usd", "cost_usd"))
	out.Flush()
	return func(rows []ledger.UsageRow) error {
		for _, r := range rows {
			out.Write(usageFields(by, r))
		}
		out.Flush()
		return out.Error() // also of the writes above
	}, out.Error()
}

func usageFields(by ledger.By, r ledger.UsageRow) []string {
	fields := []string{r.Org, r.Model}
	if by.HasToken() {
		fields = append(fields, r.TokenID)
	}
	if by.HasDay() {
		fields = append(fields, r.Day)
	}
	if by.HasHour() {
		fields = append(fields, r.Hour)
	}
	for _, n := range []int64{r.Requests, r.PromptTokens, r.CompletionTokens, r.BilledUS, r.GPUUS, int64(r.Cost)} {
		fields = append(fields, strconv.FormatInt(n, 10))
	}
	return append(fields, r.Cost.String())
}

// JSONLines writes usage as one JSON object a line.
func JSONLines(w io.Writer) Usage {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return func(rows []ledger.UsageRow) error {
		for i := range rows {
			if err := out.Encode(&rows[i]); err != nil {
				return err
			}
		}
		return nil
	}
}
