package telemetry

import "time"

// Request is what there is to tell of one request of the public API once it is over.
type Request struct {
	At       time.Time     // it came
	Took     time.Duration // until it was over
	ID       string
	Org      string // "" = it is not known whose it is
	TokenID  string
	Method   string
	Path     string // without the query
	Endpoint string // chat, completions, embeddings, responses or messages; "" = it is none of an engine
	Model    string // of the config; "" = it named none
	Stream   bool
	Instance string // that it was granted last; "" = none
	Start    string // hot, parked or cold; "" = it was granted none
	Status   int    // of the answer; behind a keep-alive, the one that its error stands for
	Code     string // of the error; "" = there was none
	Outcome  string // as its usage record has it; "" = it has none

	Queue, Activate, TTFT, Upstream, Billed time.Duration // as the usage record has them; Queue also of one that waited in vain

	BytesIn, BytesOut              int64 // of the bodies
	PromptTokens, CompletionTokens int64
	TokensKnown                    bool
	TraceID                        string // 32 hexadecimal digits; "" = it is in no trace
}
