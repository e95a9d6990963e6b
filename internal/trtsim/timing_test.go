package trtsim_test

import (
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

func near(got, want time.Duration, part float64) bool {
	return got >= time.Duration(float64(want)*(1-part)) && got <= time.Duration(float64(want)*(1+part))
}

// reference is 500 tokens in, 100 out.
var reference = fmt.Sprintf(`{"model":"m","prompt":"%s","max_tokens":100}`, words(499))

// hot is an engine that has answered before: the first request after a start takes longer.
func hot(t *testing.T, c trtsim.Config) *trtsim.Engine {
	e := start(t, c)
	complete(e, `{"model":"m","prompt":"hi","max_tokens":1}`)
	return e
}

func TestPublishedTableComesOut(t *testing.T) {
	for model, published := range map[string]time.Duration{
		llama8B: time.Second, llama70B: 2 * time.Second, llama405B: 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			e := hot(t, trtsim.Config{Model: model, Stack: trtsim.StackPublished})
			var w *httptest.ResponseRecorder
			got := took(func() { w = complete(e, reference) })
			if !near(got, published, 0.01) {
				t.Errorf("%s: got %v, want %v within 1 %%", model, got, published)
			}
			if u := parse(t, w).Usage; u.Prompt != 500 || u.Completion != 100 {
				t.Errorf("%s: got %+v, want 500 tokens in and 100 out", model, u)
			}
		})
	}
}

func TestVendorStackMeetsTheTable(t *testing.T) {
	for model, alone := range map[string]time.Duration{
		llama8B: 700 * time.Millisecond, llama70B: 1550 * time.Millisecond, llama405B: 2700 * time.Millisecond,
		"mistralai/Mistral-7B-Instruct-v0.3":    400 * time.Millisecond,
		"mistralai/Mixtral-8x7B-Instruct-v0.1":  700 * time.Millisecond,
		"mistralai/Mixtral-8x22B-Instruct-v0.1": 700 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			e := hot(t, trtsim.Config{Model: model})
			if got := took(func() { complete(e, reference) }); !near(got, alone, 0.06) {
				t.Errorf("%s: got %v, want %v within 6 %%", model, got, alone)
			}
		})
	}
}

func TestLoadTimesMeetTheTable(t *testing.T) {
	second := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for model, row := range map[string][3]float64{ // hot, staged, network
		llama8B: {30, 32, 41}, "meta-llama/Meta-Llama-3.1-8B-Instruct": {30, 32, 41},
		"mistralai/Mistral-7B-Instruct-v0.3":   {37, 38, 47},
		"mistralai/Mixtral-8x7B-Instruct-v0.1": {55, 62, 118},
		llama70B:                               {66, 77, 161}, "meta-llama/Meta-Llama-3.1-70B-Instruct": {66, 77, 161},
		"mistralai/Mixtral-8x22B-Instruct-v0.1": {110, 131, 300},
		llama405B:                               {131, 162, 407},
	} {
		for i, source := range []trtsim.Source{trtsim.SourceHot, trtsim.SourceStaged, trtsim.SourceNetwork} {
			synctest.Test(t, func(t *testing.T) {
				e, err := trtsim.New(trtsim.Config{Model: "/srv/weights/x", ServedModelName: model, Load: source})
				if err != nil {
					t.Fatal(err)
				}
				got := took(func() { err = e.Load(t.Context()) })
				if err != nil || !near(got, second(row[i]), 0.03) {
					t.Errorf("%s from %s: got %v, %v, want %v s within 3 %%", model, source, got, err, row[i])
				}
			})
		}
	}
}

func TestFirstRequestAfterStartTakesLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		first := took(func() { complete(e, reference) })
		second := took(func() { complete(e, reference) })
		if first-second != 1500*time.Millisecond {
			t.Errorf("got %v longer, want 1.5 s", first-second)
		}
	})
}

func TestSpeedDividesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, fast := trtsim.Config{LoadTime: 40 * time.Second}, trtsim.Config{LoadTime: 40 * time.Second, Speed: 20}
		all := func(c trtsim.Config) time.Duration {
			return took(func() { complete(start(t, c), reference) })
		}
		if life, got := all(slow), all(fast); !near(got*20, life, 0.0001) {
			t.Errorf("got %v at speed 20, want a 20th of %v", got, life)
		}
	})
}

// together sends n equal requests at once and waits for all of them.
func together(e *trtsim.Engine, n int, body string) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { complete(e, body) })
	}
	wg.Wait()
}

func TestDecodeSlowsDownWithTheBatch(t *testing.T) {
	// t(64) - t(1) of the table, over enough tokens that the prompts do not matter
	for model, row := range map[string][2]float64{
		llama8B: {6.46, 10.24}, llama70B: {15.09, 20.76}, "mistralai/Mixtral-8x7B-Instruct-v0.1": {6.45, 22.2},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := hot(t, trtsim.Config{Model: model})
			const tokens = 2000
			body := fmt.Sprintf(`{"model":"m","prompt":"hi","max_tokens":%d,"ignore_eos":true}`, tokens)
			for i, n := range []int{1, 64} {
				perToken := took(func() { together(e, n, body) }).Seconds() * 1000 / tokens
				if perToken < row[i]*0.99 || perToken > row[i]*1.01 {
					t.Errorf("%s: got %.2f ms a token with %d sequences, want %.2f", model, perToken, n, row[i])
				}
			}
		})
	}
}

func TestRequestsAboveTheBatchQueueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, trtsim.Config{TokenTime: time.Second, MaxBatchSize: 2})
		var mu sync.Mutex
		var ended []int
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				complete(e, `{"model":"m","prompt":"hi","max_tokens":10}`)
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, i)
			})
			time.Sleep(time.Millisecond)
		}
		all := took(wg.Wait)
		for i := range ended {
			if ended[i]/2 != i/2 {
				t.Fatalf("got the order %v, want pairs in order of arrival", ended)
			}
		}
		if all < 29*time.Second || all > 31*time.Second {
			t.Errorf("got %v for three rounds of two, want 30 s", all)
		}
	})
}

func TestKVRoomBoundsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Room for two of 1 + 1 + 62 = 64 tokens; no more is admitted, though the batch would take them.
		e := start(t, trtsim.Config{TokenTime: time.Second, MaxKVTokens: 128})
		got := took(func() { together(e, 4, `{"model":"m","prompt":"hi","max_tokens":62,"ignore_eos":true}`) })
		if got < 124*time.Second || got > 126*time.Second { // whoever comes during the first iteration joins the second
			t.Errorf("got %v, want two rounds of 62 s", got)
		}
	})
}

func TestPromptDelaysDecodersLessWhenChunked(t *testing.T) {
	for chunked, row := range map[bool]struct {
		budget int
		gap    time.Duration
	}{
		false: {6000, 206 * time.Millisecond}, // one whole prompt of 5,991 tokens at 30,000 a second, and one step
		true:  {1000, 40 * time.Millisecond},  // a chunk of 999, and one step
	} {
		bubble(t, func(t *testing.T) {
			e := hot(t, trtsim.Config{MaxNumTokens: row.budget, ChunkedPrefill: chunked})
			w := newTimedWriter()
			var wg sync.WaitGroup
			wg.Go(func() { stream(t.Context(), e, w, `"max_tokens":300,"ignore_eos":true`) })
			time.Sleep(500 * time.Millisecond)
			prompt := fmt.Sprintf(`{"model":"m","prompt":"%s","max_tokens":1}`, words(5990))
			if got := took(func() { parse(t, complete(e, prompt)) }); got < 220*time.Millisecond {
				t.Errorf("chunked %v: got the prompt read in %v, want at least 6,000 tokens' time", chunked, got)
			}
			wg.Wait()
			gap := time.Duration(0)
			for i := 1; i < len(w.writes); i++ {
				gap = max(gap, w.writes[i].Sub(w.writes[i-1]))
			}
			if !near(gap, row.gap, 0.02) {
				t.Errorf("chunked %v: got a gap of %v in another's stream, want %v", chunked, gap, row.gap)
			}
		})
	}
}

func TestSeedZeroHasNoJitterAndASeedRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with := func(seed uint64) time.Duration {
			e := hot(t, trtsim.Config{Seed: seed})
			return took(func() { complete(e, reference) })
		}
		none, seven := with(0), with(7)
		if again := with(0); again != none {
			t.Errorf("got %v and %v without jitter", none, again)
		}
		if again := with(7); again != seven {
			t.Errorf("got %v and %v for one seed", seven, again)
		}
		if with(8) == seven || seven == none {
			t.Error("got equal times for different seeds")
		}
		if !near(seven, none, 0.15) {
			t.Errorf("got %v with jitter, want about %v", seven, none)
		}
	})
}

func TestUnknownModelsGetTheSizeInTheirName(t *testing.T) {
	for name, want := range map[string]struct {
		gpus    int
		weights float64 // GB
	}{
		"acme/Foo-13B-chat": {1, 26}, "acme/foo": {1, 16.06}, "Qwen/Qwen2.5-72B-Instruct": {4, 144},
		"/models/70b-family/tiny-1.5b": {1, 3}, "acme/Big-8x13B": {4, 170}, "nvidia/Llama-3.1-405B-Instruct-FP8": {8, 410},
	} {
		p := trtsim.ProfileOf(name)
		if p.GPUs != want.gpus || p.Weights < want.weights*0.99e9 || p.Weights > want.weights*1.01e9 {
			t.Errorf("%s: got %d GPUs and %.1f GB, want %d and %.1f", name, p.GPUs, p.Weights/1e9, want.gpus, want.weights)
		}
	}
}

func TestComputedProfilesMeetTheDenseRows(t *testing.T) {
	near := func(a, b float64) bool { return a > b*0.8 && a < b*1.25 }
	for name, row := range map[string]string{"x-8.001b": llama8B, "x-70.001b": llama70B, "x-405.001b-fp8": llama405B} {
		got, want := trtsim.ProfileOf(name), trtsim.ProfileOf(row)
		if got.GPUs != want.GPUs || !near(float64(got.Base), float64(want.Base)) || !near(got.Prefill, want.Prefill) ||
			!near(got.Weights, want.Weights) || !near(float64(got.Warmup), float64(want.Warmup)) {
			t.Errorf("got %+v from %s, want about %+v", got, name, want)
		}
	}
}
