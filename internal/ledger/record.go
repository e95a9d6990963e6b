package ledger

import (
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// Kind says what a record is.
type Kind string

// The kinds of records.
const (
	KindUsage      Kind = "usage"
	KindCorrection Kind = "correction"
)

// Record is one usage record: one dispatched request, or a correction of one. Its JSON is an object of /api/usage/records: durations as whole
// microseconds (queue_us), times as RFC 3339 in UTC with microseconds, its hash where it is in a chain.
type Record struct {
	ID               string // of our own making; Append fills it where it is empty
	RequestID        string // the caller's word, which may repeat; Append makes it the ID where it is empty
	Kind             Kind   // empty = usage
	Org              string
	TokenID          string
	Model            string
	Instance         string
	GPUs             int
	Start            fleet.Tier // hot, parked or cold
	ReceivedAt       time.Time
	DispatchedAt     time.Time // decides the day and the month
	Queue            time.Duration
	Activate         time.Duration
	TTFT             time.Duration
	Upstream         time.Duration
	Billed           time.Duration // of a usage record; the function Billed gives it
	PromptTokens     int64
	CompletionTokens int64
	TokensUnknown    bool          // the engine has not said how many: both are 0 here, null in JSON, and add nothing to sums
	Price            fleet.NanoUSD // per GPU-hour
	Cost             fleet.NanoUSD // of a usage record, Append sets it: Cost(Billed, GPUs, Price)
	Status           Outcome
	Corrects         string        // of a correction: the ID of the record that it corrects
	Reason           string        // of a correction: why, in words
	Wake             time.Duration // between the dispatch and the moment from which the engine had proven itself; not billed
	Chain            string        // ID of the chain that the record is in: of one server and, in it, of one organisation. Append sets it
	Previous         Hash          // of the organisation's record before it in the chain; Append sets it
}

// complete brings a record into the form in which it is kept.
func (r *Record) complete() {
	if r.ID == "" {
		r.ID = NewID()
	}
	if r.RequestID == "" {
		r.RequestID = r.ID
	}
	if r.Kind == "" {
		r.Kind = KindUsage
	}
	for _, at := range []*time.Time{&r.ReceivedAt, &r.DispatchedAt} {
		*at = time.UnixMicro(at.UnixMicro()).UTC()
	}
	for _, d := range []*time.Duration{&r.Queue, &r.Activate, &r.TTFT, &r.Upstream, &r.Billed, &r.Wake} {
		*d = d.Truncate(time.Microsecond)
	}
	if r.TokensUnknown {
		r.PromptTokens, r.CompletionTokens = 0, 0
	}
	if r.Kind == KindUsage {
		r.Billed = max(r.Billed, 0)
		r.Cost = Cost(r.Billed, r.GPUs, r.Price)
	}
}

// idDigits are in ASCII order, so that IDs sort as their times do.
const idDigits = "0123456789abcdefghijklmnopqrstuv"

// NewID makes an ID for a record or a request: 11 characters of the time in microseconds, then 75 random bits. IDs made later sort later.
func NewID() string { return string(AppendID(nil, time.Now())) }

// AppendID appends a NewID of a moment, which is about now.
func AppendID(b []byte, at time.Time) []byte {
	const timeDigits, randomDigits = 11, 15
	var id [timeDigits + randomDigits]byte
	for i, bits := timeDigits, uint64(0); i < len(id); i++ {
		if (i-timeDigits)%12 == 0 {
			bits = rand.Uint64() // of a generator with a seed of the operating system's for each thread: IDs need be unlike, not secret
		}
		id[i] = idDigits[bits%32]
		bits /= 32
	}
	us := at.UnixMicro()
	for i := timeDigits - 1; i >= 0; i-- {
		id[i] = idDigits[us%32]
		us /= 32
	}
	return append(b, id[:]...)
}

// instantLayout is RFC 3339 in UTC, always with microseconds, so that texts sort as times do.
const instantLayout = "2006-01-02T15:04:05.000000Z"

// recordJSON is Record as the API names it.
type recordJSON struct {
	ID               string        `json:"id"`
	RequestID        string        `json:"request_id"`
	Kind             Kind          `json:"kind"`
	Org              string        `json:"org"`
	TokenID          string        `json:"token_id"`
	Model            string        `json:"model"`
	Instance         string        `json:"instance"`
	GPUs             int           `json:"gpus"`
	Start            fleet.Tier    `json:"start"`
	ReceivedAt       instant       `json:"received_at"`
	DispatchedAt     instant       `json:"dispatched_at"`
	Queue            micros        `json:"queue_us"`
	Activate         micros        `json:"activate_us"`
	TTFT             micros        `json:"ttft_us"`
	Upstream         micros        `json:"upstream_us"`
	Billed           micros        `json:"billed_us"`
	PromptTokens     *int64        `json:"prompt_tokens"` // null = not known
	CompletionTokens *int64        `json:"completion_tokens"`
	Price            fleet.NanoUSD `json:"price_nano_usd_per_gpu_hour"`
	Cost             fleet.NanoUSD `json:"cost_nano_usd"`
	Status           Outcome       `json:"status"`

	// What came later is left out where it is empty: see Hash.
	Corrects string `json:"corrects,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Wake     micros `json:"wake_us,omitempty"`
	Chain    string `json:"chain,omitempty"`
	Previous Hash   `json:"previous,omitzero"`
	Hash     Hash   `json:"hash,omitzero"` // of a record in a chain
}

// MarshalJSON gives the object of the API.
func (r Record) MarshalJSON() ([]byte, error) {
	prompt, completion := &r.PromptTokens, &r.CompletionTokens
	if r.TokensUnknown {
		prompt, completion = nil, nil
	}
	var hash Hash
	if r.Chain != "" {
		hash = HashOf(&r)
	}
	return json.Marshal(recordJSON{
		r.ID, r.RequestID, r.Kind, r.Org, r.TokenID, r.Model, r.Instance, r.GPUs, r.Start,
		instant(r.ReceivedAt), instant(r.DispatchedAt),
		micros(r.Queue), micros(r.Activate), micros(r.TTFT), micros(r.Upstream), micros(r.Billed),
		prompt, completion, r.Price, r.Cost, r.Status,
		r.Corrects, r.Reason, micros(r.Wake), r.Chain, r.Previous, hash,
	})
}

// UnmarshalJSON reads the object of the API. Its hash is not looked at: HashOfJSON is for whoever does not trust it.
func (r *Record) UnmarshalJSON(text []byte) error {
	var j recordJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	unknown := j.PromptTokens == nil && j.CompletionTokens == nil
	number := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return *n
	}
	*r = Record{
		j.ID, j.RequestID, j.Kind, j.Org, j.TokenID, j.Model, j.Instance, j.GPUs, j.Start,
		time.Time(j.ReceivedAt), time.Time(j.DispatchedAt),
		time.Duration(j.Queue), time.Duration(j.Activate), time.Duration(j.TTFT), time.Duration(j.Upstream), time.Duration(j.Billed),
		number(j.PromptTokens), number(j.CompletionTokens), unknown, j.Price, j.Cost, j.Status,
		j.Corrects, j.Reason, time.Duration(j.Wake), j.Chain, j.Previous,
	}
	return nil
}

type instant time.Time

func (i instant) MarshalJSON() ([]byte, error) {
	return time.Time(i).UTC().AppendFormat(nil, `"`+instantLayout+`"`), nil
}

func (i *instant) UnmarshalJSON(text []byte) error { return (*time.Time)(i).UnmarshalJSON(text) }

type micros time.Duration

func (m micros) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(m).Microseconds()) }

func (m *micros) UnmarshalJSON(text []byte) error {
	var us int64
	err := json.Unmarshal(text, &us)
	*m = micros(time.Duration(us) * time.Microsecond)
	return err
}
