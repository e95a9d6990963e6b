// Package webhook sends events to an operator's own endpoints: one for each usage record, and notices such as a budget's threshold.
//
// It promises that each record that reaches the store after a webhook was first configured is delivered at least once, in the
// order in which records reached the store, under an ID that is the same each time; that a notice is kept before Notify returns and
// told once by its ID; and that neither a request nor the ledger ever waits for an endpoint. What it keeps of an endpoint that is down is
// where it stopped: the records are the ledger's, the notices the store's. It never follows a redirect, never sends a secret, and
// never passes over an event that an endpoint has not taken: it tries again, slower each time, and stops only where the
// endpoint says that it is gone (410), where it does not know any more where it was, or where sending would bill twice.
//
//	records, notices ──► batch ──POST──► 2xx ──► cursor kept in the store ──► next batch
//	                       ▲       └──► else ──► back-off ──┐
//	                       └────────────────────────────────┘
//
// The cursor moves only when a batch was taken, so a crash in between sends that batch again.
package webhook
