package protocol_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

func TestHandover_SaysLessWhereThereIsLittleRoom(t *testing.T) {
	h := &protocol.Handover{Term: 9, Since: 4, Holders: []protocol.Holder{{Server: "one", Life: 7}, {Server: "two", Life: 8}}}
	bare := *h
	for k := range 1000 {
		h.Known = append(h.Known, fmt.Sprint("3-", k))
	}
	for _, row := range []struct {
		name string
		most int
		want *protocol.Handover
	}{{"enough", 1 << 20, h}, {"not for all instances", 4000, &bare}, {"not for all servers", 70, nil}} {
		t.Run(row.name, func(t *testing.T) {
			text, err := h.Encode(row.most)
			if err != nil || len(text) > row.most {
				t.Fatalf("got %d bytes, %v, want %d at most", len(text), err, row.most)
			}
			if row.want == nil {
				if text != nil {
					t.Errorf("got %s, want nothing: who reads it would not wait for all", text)
				}
				return
			}
			got, err := protocol.DecodeHandover(text)
			if diff := cmp.Diff(row.want, got); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestDecodeHandover_RefusesWhatMayMeanMore(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": ``, "no JSON": `{"term":`, "no object": `[7]`, "a later build's": `{"term":7,"since":7,"besides":["x"]}`, "no beginning": `{"term":7}`,
		"a beginning after its end": `{"term":7,"since":8}`, "a server without a name": `{"term":7,"since":7,"holders":[{"life":3}]}`, "another type": `{"term":7,"since":7,"holders":"all"}`,
	} {
		if h, err := protocol.DecodeHandover([]byte(text)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, h)
		}
	}
}

// FuzzDecodeHandover takes what may stand in the lock: what is understood names who is waited for, and can be left to the next server as it is.
func FuzzDecodeHandover(f *testing.F) {
	f.Add([]byte(`{"term":9,"since":4,"known":["3-1"],"holders":[{"server":"one","life":7}]}`))
	f.Add([]byte(`{"term":9,"since":9,"holders":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := protocol.DecodeHandover(text)
		if err != nil {
			return
		}
		for _, o := range h.Holders {
			if o.Server == "" || h.Since > h.Term {
				t.Errorf("%s is taken for %+v", text, h)
			}
		}
		again, err := h.Encode(math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := protocol.DecodeHandover(again)
		if diff := cmp.Diff(h, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s, read again: %v, -want +got:\n%s", again, err, diff)
		}
	})
}
