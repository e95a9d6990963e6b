package ledger

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Whatever fields of a record are empty, it is read as it was written.
func TestPayload_IsReadAsItWasWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		r := Record{ReceivedAt: time.UnixMicro(0).UTC(), DispatchedAt: time.UnixMicro(0).UTC()}
		for _, field := range reflect.ValueOf(&r).Elem().Fields() {
			if random.IntN(2) == 0 {
				continue
			}
			switch v := field.Addr().Interface().(type) {
			case *time.Time:
				*v = time.UnixMicro(random.Int64N(1<<50) - 1<<49).UTC()
			case *time.Duration:
				*v = time.Duration(random.Int64N(1e9)) * time.Microsecond
			case *bool:
				*v = true
			case *Hash:
				for i := range v {
					v[i] = byte(random.IntN(256))
				}
			default:
				if field.Kind() == reflect.String {
					field.SetString(strings.Repeat("é", random.IntN(100)))
				} else {
					field.SetInt(random.Int64N(math.MaxInt64) - random.Int64N(math.MaxInt64))
				}
			}
		}
		r.complete()
		again := random.IntN(2) == 0
		var f rawFields
		f.texts[fieldOrg] = []byte("of the record before")
		payload := appendPayload(nil, &r, again)
		if err := f.read(payload); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, f.record()); diff != "" || f.again != again {
			t.Fatalf("(-written +read):\n%s", diff)
		}
		if !hasID(payload, r.ID) || hasID(payload, r.ID+"x") {
			t.Fatalf("the ID of %+v is not found", r)
		}
		for cut := range payload { // no length lets it read beyond the end
			f.read(payload[:cut])
		}
	}
}

func TestPayload_FieldsOfALaterVersionArePassedOver(t *testing.T) {
	r := Record{ID: "id", Org: "acme", PromptTokens: 5, CompletionTokens: 6}
	r.complete()
	payload := appendPayload(nil, &r, false)
	payload = append(payload, textTag(nextText), 3, 'n', 'e', 'w', numberTag(numberCount+20), 0x81, 0x01, 0xff, 0x7f, 0)
	var f rawFields
	if err := f.read(payload); err != nil {
		t.Fatal(err)
	}
	if got := f.record(); got.Org != "acme" || got.PromptTokens != 5 || got.CompletionTokens != 6 || got.TokensUnknown {
		t.Errorf("got %+v", got)
	}
	payload[0] = recordVersion + 2
	if err := f.read(payload); err == nil {
		t.Error("a record of a newer version was read")
	}
}

// Tokens that the engine never told are not 0: they are null, and so they come back.
func TestRecord_UnknownTokensAreNull(t *testing.T) {
	l := open(t, Async)
	r := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now(), TokensUnknown: true}
	zero := &Record{Org: "acme", Model: "m", DispatchedAt: time.Now()}
	for _, r := range []*Record{r, zero} {
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := l.Records(t.Context(), "acme", "", 0)
	if err != nil || len(page.Records) != 2 {
		t.Fatal(page, err)
	}
	for i, want := range []string{"null", "0"} {
		text, err := json.Marshal(page.Records[i])
		if err != nil || !strings.Contains(string(text), `"prompt_tokens":`+want+`,"completion_tokens":`+want) {
			t.Errorf("got %s, %v, want %s tokens", text, err, want)
		}
		var back Record
		if err := json.Unmarshal(text, &back); err != nil || back.TokensUnknown != (want == "null") {
			t.Errorf("read back: got %+v, %v", back, err)
		}
	}
	if rows, _, err := l.Usage(t.Context(), Query{}); err != nil || rows[0].Requests != 2 || rows[0].PromptTokens != 0 {
		t.Errorf("got %+v, %v, want two requests", rows, err)
	}
}
