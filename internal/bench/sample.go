package bench

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Sample is one request as its caller saw it. Moments that never came are zero.
type Sample struct {
	ID       string    // the X-Request-Id that was sent
	Model    string    // that was asked for
	Intended time.Time // when it was meant to be sent: every latency counts from here
	Sent     time.Time
	First    time.Time // its first token
	Last     time.Time // its last token
	End      time.Time // its last byte, or the moment at which it had failed

	Status       int    // of HTTP; 0 = none came
	Failure      string // "" = a whole answer; else its code, behind the HTTP status where one came: "429 rate_limit_exceeded"
	InputTokens  int64
	OutputTokens int64
	Chunks       []time.Duration // between one chunk with tokens and the next, in order
	Receipt      Receipt         // what the server says of it
}

// Interrupted is the Failure of a request that was cut off because the run was ended. It is no fault of the server's.
const Interrupted = "interrupted"

// Receipt is what Pilotlight says of a request: its headers and comments, the object pilotlight of its stream, and /v1/usage/{request_id} use these words.
// Times are whole microseconds.
type Receipt struct {
	RequestID    string        `json:"request_id,omitempty"`
	Model        string        `json:"model,omitempty"`
	Start        string        `json:"start"` // hot, parked or cold; "" = the server has said nothing
	ReceivedAt   time.Time     `json:"received_at,omitzero"`
	DispatchedAt time.Time     `json:"dispatched_at,omitzero"`
	QueueUS      int64         `json:"queue_us"`
	ActivateUS   int64         `json:"activate_us"`
	WakeUS       int64         `json:"wake_us"`
	TTFTUS       int64         `json:"ttft_us"` // from dispatch
	UpstreamUS   int64         `json:"upstream_us"`
	BilledUS     int64         `json:"billed_us"`
	Cost         fleet.NanoUSD `json:"cost_nano_usd"`
	Status       string        `json:"status,omitempty"`

	Priced bool `json:"-"` // BilledUS and Cost have been told
}

// Held is how long the server says that it kept the request before its model's own time began: for a place, for a start, and for the rest of a wake.
func (r *Receipt) Held() time.Duration {
	return time.Duration(r.QueueUS+r.ActivateUS+r.WakeUS) * time.Microsecond
}

// took is how long a request was at a moment of its; false = that never came.
func (s *Sample) took(at time.Time) (time.Duration, bool) {
	return at.Sub(s.Intended), !at.IsZero()
}

// interToken is the mean time between two tokens of the answer; false = it has no two.
func (s *Sample) interToken() (time.Duration, bool) {
	if s.OutputTokens < 2 || s.First.IsZero() {
		return 0, false
	}
	return s.Last.Sub(s.First) / time.Duration(s.OutputTokens-1), true
}
