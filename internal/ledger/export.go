package ledger

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// WriteCSV writes usage rows as CSV, with a header that names the columns as the API does. by is what the rows were
// queried with; it adds token_id or day.
func WriteCSV(w io.Writer, by By, rows []UsageRow) error {
	header := []string{"org", "model"}
	if extra := extraColumn(by); extra != "" {
		header = append(header, extra)
	}
	header = append(header, "requests", "prompt_tokens", "completion_tokens", "billed_us", "gpu_us", "cost_nano_usd")
	out := csv.NewWriter(w)
	out.Write(header)
	for _, r := range rows {
		fields := []string{r.Org, r.Model}
		switch by {
		case ByToken:
			fields = append(fields, r.TokenID)
		case ByDay:
			fields = append(fields, r.Day)
		}
		for _, n := range []int64{r.Requests, r.PromptTokens, r.CompletionTokens, r.BilledUS, r.GPUUS, int64(r.Cost)} {
			fields = append(fields, strconv.FormatInt(n, 10))
		}
		out.Write(fields)
	}
	out.Flush()
	return out.Error() // also of the writes above
}

func extraColumn(by By) string {
	switch by {
	case ByToken:
		return "token_id"
	case ByDay:
		return "day"
	}
	return ""
}

// focusColumns are the mandatory columns of FinOps FOCUS 1.0, and of the conditional ones those that say what was used.
var focusColumns = []string{
	"BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
	"ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
	"ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
	"PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ResourceId", "ResourceName", "ResourceType",
	"ServiceCategory", "ServiceName", "SubAccountId", "SubAccountName",
}

// WriteFOCUS writes usage rows as CSV in the columns of FinOps FOCUS 1.0, one charge a row: the organisation is the billing
// account, a token the sub-account, the model the resource. Rows of ByDay are charges of their day; others are charges of
// the time from from to to, which the rows were queried with and which lies in one UTC month.
func WriteFOCUS(w io.Writer, rows []UsageRow, from, to time.Time) error {
	if !from.Before(to) {
		return &InvalidError{"from", "a FOCUS export needs a period: from before to"}
	}
	out := csv.NewWriter(w)
	out.Write(focusColumns)
	for _, r := range rows {
		begin, end := from.UTC(), to.UTC()
		if r.Day != "" {
			day, err := time.Parse(time.DateOnly, r.Day)
			if err != nil {
				return fmt.Errorf("writing FOCUS rows: %w", err)
			}
			begin, end = day, day.AddDate(0, 0, 1)
		}
		out.Write(focusRow(r, begin, end))
	}
	out.Flush()
	return out.Error() // also of the writes above
}

func focusRow(r UsageRow, begin, end time.Time) []string {
	month := time.Date(begin.Year(), begin.Month(), 1, 0, 0, 0, 0, time.UTC)
	cost, quantity, us := r.Cost.String(), decimalSeconds(r.GPUUS), "Pilotlight"
	const null = ""
	return []string{
		cost, r.Org, r.Org, "USD", focusTime(month.AddDate(0, 1, 0)), focusTime(month),
		"Usage", null, "Inference on " + r.Model, "Usage-Based", focusTime(end), focusTime(begin),
		quantity, "GPU-Seconds", cost, cost, us, cost,
		quantity, "GPU-Seconds", us, us, r.Model, r.Model, "Model",
		"AI and Machine Learning", us, r.TokenID, r.TokenID,
	}
}

func focusTime(t time.Time) string { return t.Format("2006-01-02T15:04:05Z") }

// decimalSeconds writes microseconds as seconds, exactly.
func decimalSeconds(us int64) string { return fmt.Sprintf("%d.%06d", us/1e6, us%1e6) }
