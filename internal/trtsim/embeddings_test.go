package trtsim_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

type embedded struct {
	Object string
	Model  string
	Data   []struct {
		Index     int
		Object    string
		Embedding json.RawMessage
	}
	Usage     map[string]int
	Simulated string
}

func embed(t *testing.T, e http.Handler, body string) (got embedded, vectors [][]float64) {
	t.Helper()
	w := call(e, "POST", "/v1/embeddings", body)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	for _, d := range got.Data {
		var v []float64
		if json.Unmarshal(d.Embedding, &v) != nil {
			var text string
			raw, err := []byte(nil), json.Unmarshal(d.Embedding, &text)
			if err == nil {
				raw, err = base64.StdEncoding.DecodeString(text)
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(raw); i += 4 {
				v = append(v, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))))
			}
		}
		vectors = append(vectors, v)
	}
	return got, vectors
}

func cosine(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestEmbeddings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{Embeddings: true})
		got, v := embed(t, e, `{"model":"m","input":["a cold winter morning","the cold winter wind","tax law of Delaware",[7,8]]}`)
		if got.Object != "list" || got.Model != "m" || len(v) != 4 || got.Data[3].Index != 3 || got.Usage["prompt_tokens"] != 18 || got.Usage["total_tokens"] != 18 {
			t.Errorf("got %d vectors of %s, usage %v, want 4 and 18 tokens", len(v), got.Model, got.Usage)
		}
		if !strings.Contains(got.Simulated, "simulated") {
			t.Errorf("got %q, want the answer to say that it is simulated", got.Simulated)
		}
		if near, far := cosine(v[0], v[1]), cosine(v[0], v[2]); math.Abs(cosine(v[0], v[0])-1) > 1e-6 || near < far+0.2 {
			t.Errorf("got likeness %.2f of texts that share words and %.2f of others", near, far)
		}
		_, packed := embed(t, e, `{"model":"m","input":"a cold winter morning","encoding_format":"base64"}`)
		if len(packed[0]) != len(v[0]) || cosine(packed[0], v[0]) < 0.999999 {
			t.Errorf("got another vector in base64")
		}
	})
}

func TestEmbeddings_WhatIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{Embeddings: true})
		for _, body := range []string{
			`{"model":"m"}`, `{"input":"a"}`, `{"model":"m","input":[]}`, `{"model":"m","input":7}`, `{"model":"m","input":"a","temperature":1}`,
			`{"model":"m","input":"a","encoding_format":"int8"}`, `{"model":"m","input":"a","dimensions":3}`,
		} {
			if w := call(e, "POST", "/v1/embeddings", body); w.Code != 400 {
				t.Errorf("%s: got %d %s, want 400", body, w.Code, w.Body)
			}
		}
		if w := chat(e, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`); w.Code != 404 {
			t.Errorf("got %d for a chat, want 404", w.Code)
		}
		if w := call(start(t, trtsim.Config{}), "POST", "/v1/embeddings", `{"model":"m","input":"a"}`); w.Code != 404 {
			t.Errorf("got %d from a model that generates text, want 404", w.Code)
		}
	})
}
