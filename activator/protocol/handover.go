package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Handover is what a planner that ends in order leaves to the next one: who may have leases on the instances that it knew. It gives out nothing after that. Only the planner
// of the very next term may go by it: another may have given out shares since.
type Handover struct {
	Term    uint64   `json:"term"`            // of the planner that ends
	Since   uint64   `json:"since"`           // the term from which on it is known who may have leases on what was launched: one of Holders, or nobody
	Known   []string `json:"known,omitempty"` // instances that were launched before, and of which that is known, too
	Holders []Holder `json:"holders,omitempty"`
}

// Holder is one life of a dispatcher that may have leases, or shares by a table that is good still.
type Holder struct {
	Server string `json:"server"`
	Life   uint64 `json:"life"` // its incarnation
}

// Encode gives the text of a handover, in no more bytes than most. Where it does not fit, it leaves out what was launched before Since; where not even its holders
// do, it is nil. Who reads less knows less, and nothing that is wrong.
func (h *Handover) Encode(most int) ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil || len(text) <= most {
		return text, err
	}
	less := *h
	less.Known = nil
	if text, err = json.Marshal(&less); err != nil || len(text) <= most {
		return text, err
	}
	return nil, nil
}

// DecodeHandover reads what Encode has written. What a later build has added to it may say that more are to be heard: then it cannot be read, either.
func DecodeHandover(text []byte) (*Handover, error) {
	h := &Handover{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(h); err != nil {
		return nil, fmt.Errorf("reading a handover: %w", err)
	}
	if h.Since == 0 || h.Since > h.Term {
		return nil, fmt.Errorf("reading a handover: that of term %d knows of instances since term %d", h.Term, h.Since)
	}
	for _, o := range h.Holders {
		if o.Server == "" {
			return nil, errors.New("reading a handover: a server without a name")
		}
	}
	return h, nil
}
