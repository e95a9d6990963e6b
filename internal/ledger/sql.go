package ledger

import (
	"strings"
	"time"
)

const recordColumns = `id, request_id, kind, org, token_id, model, instance, gpus, start, received_at, dispatched_at,
	queue_us, activate_us, ttft_us, upstream_us, billed_us, prompt_tokens, completion_tokens, price_nano_usd, cost_nano_usd, status`

// A request that has its record's ID as its own is kept without it: most are, and the index of requests stays small.
var selectRecord = "SELECT " + strings.Replace(recordColumns, "request_id", "CASE request_id WHEN '' THEN id ELSE request_id END", 1) +
	" FROM usage_records"

// selectReceipt has two parts, because each needs an index of its own.
var selectReceipt = selectRecord + ` WHERE seq = (SELECT max(seq) FROM (
	SELECT seq FROM usage_records WHERE token_id = ?1 AND request_id = ?2 AND request_id <> '' AND kind = 'usage'
	UNION ALL
	SELECT seq FROM usage_records WHERE token_id = ?1 AND id = ?2 AND request_id = '' AND kind = 'usage'))`

// insertRows inserts n records with one statement: binding and stepping through a statement costs more than a row.
func insertRows(n int) string {
	row := ", (?" + strings.Repeat(", ?", strings.Count(recordColumns, ",")) + ")"
	return "INSERT INTO usage_records (" + recordColumns + ") VALUES " + strings.Repeat(row, n)[2:] + " ON CONFLICT (id) DO NOTHING"
}

// appendColumns adds a record's values in the order of recordColumns.
func (r *Record) appendColumns(values []any) []any {
	request := r.RequestID
	if request == r.ID {
		request = ""
	}
	return append(values,
		r.ID, request, string(r.Kind), r.Org, r.TokenID, r.Model, r.Instance, r.GPUs, string(r.Start),
		r.ReceivedAt.UnixMicro(), r.DispatchedAt.UnixMicro(),
		r.Queue.Microseconds(), r.Activate.Microseconds(), r.TTFT.Microseconds(), r.Upstream.Microseconds(), r.Billed.Microseconds(),
		r.PromptTokens, r.CompletionTokens, int64(r.Price), int64(r.Cost), string(r.Status),
	)
}

// scanRecord reads a row of selectRecord.
func scanRecord(row interface{ Scan(...any) error }) (Record, error) {
	var r Record
	var received, dispatched int64
	var us [5]int64
	err := row.Scan(&r.ID, &r.RequestID, &r.Kind, &r.Org, &r.TokenID, &r.Model, &r.Instance, &r.GPUs, &r.Start,
		&received, &dispatched, &us[0], &us[1], &us[2], &us[3], &us[4],
		&r.PromptTokens, &r.CompletionTokens, &r.Price, &r.Cost, &r.Status)
	if err != nil {
		return r, err
	}
	r.ReceivedAt, r.DispatchedAt = time.UnixMicro(received).UTC(), time.UnixMicro(dispatched).UTC()
	for i, d := range r.durations() {
		*d = time.Duration(us[i]) * time.Microsecond
	}
	return r, nil
}
