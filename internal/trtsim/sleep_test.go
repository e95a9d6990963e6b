package trtsim_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/engine"
	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

var key = []byte("secret")

// signed sends a control call with the given nonce number at a distance from now.
func signed(e http.Handler, method, path, body string, nonce int, skew time.Duration) *httptest.ResponseRecorder {
	stamp := strconv.FormatInt(time.Now().Add(skew).Unix(), 10)
	n := fmt.Sprintf("%032x", nonce)
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set(engine.HeaderAuth, engine.Signature(key, method, path, stamp, n, []byte(body)))
	r.Header.Set(engine.HeaderTimestamp, stamp)
	r.Header.Set(engine.HeaderNonce, n)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

// sleeper is an engine with sleep mode and a source of fresh nonces.
type sleeper struct {
	*trtsim.Engine
	mu    sync.Mutex // guards nonce
	nonce int
}

func newSleeper(t *testing.T, c trtsim.Config) *sleeper {
	c.ControlKey = key
	return &sleeper{Engine: start(t, c)}
}

func (s *sleeper) call(method, path, body string) *httptest.ResponseRecorder {
	s.mu.Lock()
	s.nonce++
	n := s.nonce
	s.mu.Unlock()
	return signed(s.Engine, method, path, body, n, 0)
}

func (s *sleeper) release(body string) *httptest.ResponseRecorder {
	return s.call("POST", "/release_memory", body)
}

func (s *sleeper) resume(body string) *httptest.ResponseRecorder {
	return s.call("POST", "/resume_memory", body)
}

func (s *sleeper) status() string { return s.call("GET", "/memory_status", "").Body.String() }

const (
	success   = `{"status":"success"}`
	isRunning = `{"state":"running","parked_tags":[]}`
	isParked  = `{"state":"parked","parked_tags":["executor_extra","kv_cache","model","model_extra","model_weights","sampler"]}`
)

func TestParkAndWakeTakeTheTablesTimes(t *testing.T) {
	for model, row := range map[string]struct{ pin, park, wake float64 }{ // the first park pins host memory at 61.7 GiB in 9.2 s on each GPU
		llama8B: {2.23, 1.0, 1.0}, "mistralai/Mistral-7B-Instruct-v0.3": {1.01, 0.8, 0.7}, "mistralai/Mixtral-8x7B-Instruct-v0.1": {6.49, 2.8, 2.7},
		llama70B: {4.90, 3.0, 2.9}, "mistralai/Mixtral-8x22B-Instruct-v0.1": {4.88, 3.8, 3.6}, llama405B: {7.12, 5.2, 5.0},
	} {
		bubble(t, func(t *testing.T) {
			s := newSleeper(t, trtsim.Config{Model: model})
			check := func(what string, got time.Duration, want float64) {
				if !near(got, time.Duration(want*1e9), 0.03) {
					t.Errorf("%s: got %v to %s, want %v s within 3 %%", model, got, what, want)
				}
			}
			check("park for the first time", took(func() { want(t, s.release(""), 200, success) }), row.pin+row.park)
			check("wake", took(func() { want(t, s.resume(""), 200, success) }), row.wake)
			check("park again", took(func() { want(t, s.release("{}"), 200, success) }), row.park)
		})
	}
}

func TestParkedEngineIsHealthyAndRefusesWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{})
		if got := s.status(); got != isRunning {
			t.Errorf("got %s, want %s", got, isRunning)
		}
		s.release("")
		if got := s.status(); got != isParked {
			t.Errorf("got %s, want %s", got, isParked)
		}
		want(t, call(s, "GET", "/health", ""), 200, "")
		for _, stream := range []string{"false", "true"} {
			wantContains(t, complete(s, `{"model":"m","prompt":"x","stream":`+stream+`}`), 400, `{"object":"error","message":`)
		}
		wantContains(t, call(s, "GET", "/health_generate", ""), 500, "Generation health check failed")
		s.resume("")
		if got := s.status(); got != isRunning {
			t.Errorf("got %s, want %s", got, isRunning)
		}
		complete(s, `{"model":"m","prompt":"x","max_tokens":1}`)
	})
}

func TestFirstRequestAfterWakingTakesLonger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{})
		complete(s, reference)
		usual := took(func() { complete(s, reference) })
		s.release("")
		s.resume("")
		if got := took(func() { complete(s, reference) }) - usual; got != 300*time.Millisecond {
			t.Errorf("got %v longer, want 0.3 s", got)
		}
	})
}

func TestReleaseDrainsAndRefusesMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{TokenTime: time.Second, MaxBatchSize: 1})
		var wg sync.WaitGroup
		for range 2 { // the second one is queued: it is in flight too
			wg.Go(func() { parse(t, complete(s, `{"model":"m","prompt":"x","max_tokens":30}`)) })
		}
		synctest.Wait()
		var released time.Duration
		wg.Go(func() { released = took(func() { want(t, s.release(""), 200, success) }) })
		time.Sleep(10 * time.Second)
		if got := s.status(); got != `{"state":"parking","parked_tags":[]}` {
			t.Errorf("got %s, want parking", got)
		}
		wantContains(t, complete(s, `{"model":"m","prompt":"x"}`), 400, "parking")
		wantContains(t, s.release(""), 409, `{"error":{"message":"Cannot release runtime memory while state is parking"}}`)
		wantContains(t, s.resume(""), 409, "while state is parking")
		want(t, call(s, "GET", "/health", ""), 200, "")
		wg.Wait()
		if !near(released, 63230*time.Millisecond, 0.01) {
			t.Errorf("got released after %v, want 60 s of drain and 3.2 s of pinning and copying", released)
		}
	})
}

func TestReleaseAndResumeAreIdempotent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{})
		want(t, s.resume(""), 200, success)
		want(t, s.resume(`{"tags":["kv_cache"]}`), 200, success)
		want(t, s.release(`{"tags":["model","model_weights"]}`), 200, success)
		if got := s.status(); got != `{"state":"parked","parked_tags":["model","model_weights"]}` {
			t.Errorf("got %s, want two tags parked", got)
		}
		want(t, s.release(`{"tags":["model"]}`), 200, success)
		want(t, s.release(`{"tags":["kv_cache"]}`), 409, `{"error":{"message":"Runtime memory is already parked"}}`)
		want(t, s.release(""), 409, `{"error":{"message":"Runtime memory is already parked"}}`)
		want(t, s.resume(`{"tags":["model"]}`), 200, success)
		if got := s.status(); got != `{"state":"parked","parked_tags":["model_weights"]}` {
			t.Errorf("got %s, want one tag parked", got)
		}
		wantContains(t, complete(s, `{"model":"m","prompt":"x"}`), 400, "parked")
		want(t, s.resume(`{"tags":["model_weights","kv_cache"]}`), 200, success)
		if got := s.status(); got != isRunning {
			t.Errorf("got %s, want running", got)
		}
	})
}

func TestControlBodiesThatAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{})
		wantContains(t, s.release(`{"tags":[]}`), 400, `{"error":{"message":"`)
		wantContains(t, s.resume(`{"tags":[]}`), 400, `{"error":{"message":"`)
		wantContains(t, s.release(`{"tags":["wheights"]}`), 400, `{"error":{"message":"`)
		wantContains(t, s.release(`{"tags":`), 400, `{"error":"`)
		wantContains(t, s.release(`{"tags":"all"}`), 400, `{"error":"`)
		wantContains(t, s.release(`{"level":1}`), 400, `{"error":"`)
		if got := s.status(); got != isRunning {
			t.Errorf("got %s, want running", got)
		}
	})
}

func TestResumeThatFailsIsFinal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{Faults: []trtsim.Fault{{Kind: trtsim.FaultResume}}})
		s.release("")
		wantContains(t, s.resume(""), 500, `{"error":{"message":"CUDA error: out of memory`)
		if got := s.status(); !strings.Contains(got, `"failed"`) {
			t.Errorf("got %s, want failed", got)
		}
		wantContains(t, s.resume(""), 409, "while state is failed")
		wantContains(t, s.release(""), 409, "while state is failed")
		wantContains(t, complete(s, `{"model":"m","prompt":"x"}`), 400, "failed")
		want(t, call(s, "GET", "/health", ""), 200, "")
	})
}

func TestResumeThatIsSurvivedCanBeTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{Faults: []trtsim.Fault{{Kind: trtsim.FaultResumeShort, Times: 1}}})
		s.release("")
		wantContains(t, s.resume(""), 500, "out of memory")
		if got := s.status(); got != isParked {
			t.Errorf("got %s, want %s", got, isParked)
		}
		want(t, s.resume(""), 200, success)
	})
}

func TestReleaseThatFailsIsFinal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{Faults: []trtsim.Fault{{Kind: trtsim.FaultRelease}}})
		wantContains(t, s.release(""), 500, `{"error":{"message":"CUDA error`)
		wantContains(t, s.resume(""), 409, "while state is failed")
	})
}

func TestSignatureVectors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1_760_000_000, 0)))
		for _, row := range []struct{ method, path, body, signature string }{
			{"POST", "/release_memory", "", "e3b1b2242a77b16096d2393fb15d2d99262c0f4c79dcf3e0fc177550cd3bff30"},
			{"POST", "/resume_memory", `{"tags":["model","model_weights"]}`, "084f9e5c510e33f15e206ef0e39ae0cdc54a44a23bf754db49678b0a8077a8d0"},
			{"GET", "/memory_status", "", "6132ec8ce80408acfc382224ae6e129eeff95cac1d2c0dc8f686c13d4fa81e25"},
		} {
			e := start(t, trtsim.Config{ControlKey: key})
			r := httptest.NewRequest(row.method, row.path, strings.NewReader(row.body))
			r.Header.Set("x-trtllm-runtime-control-auth", "sha256="+row.signature)
			r.Header.Set("x-trtllm-runtime-control-timestamp", "1760000000")
			r.Header.Set("x-trtllm-runtime-control-nonce", "0123456789abcdef0123456789abcdef")
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != 200 {
				t.Errorf("%s %s: got %d %s, want 200", row.method, row.path, w.Code, w.Body)
			}
		}
	})
}

func TestUnsignedControlCallsAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{ControlKey: key})
		const invalid = `{"detail":"Invalid runtime control request authentication."}`
		for name, spoil := range map[string]func(http.Header){
			"no auth":      func(h http.Header) { h.Del(engine.HeaderAuth) },
			"wrong auth":   func(h http.Header) { h.Set(engine.HeaderAuth, "sha256="+strings.Repeat("0", 64)) },
			"no time":      func(h http.Header) { h.Del(engine.HeaderTimestamp) },
			"time with +":  func(h http.Header) { h.Set(engine.HeaderTimestamp, "+946684800") },
			"no nonce":     func(h http.Header) { h.Del(engine.HeaderNonce) },
			"short nonce":  func(h http.Header) { h.Set(engine.HeaderNonce, "0123") },
			"upper nonce":  func(h http.Header) { h.Set(engine.HeaderNonce, strings.Repeat("A", 32)) },
			"other's time": func(h http.Header) { h.Set(engine.HeaderTimestamp, "946684801") },
		} {
			stamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), fmt.Sprintf("%032x", 1)
			r := httptest.NewRequest("GET", "/memory_status", nil)
			r.Header.Set(engine.HeaderAuth, engine.Signature(key, "GET", "/memory_status", stamp, nonce, nil))
			r.Header.Set(engine.HeaderTimestamp, stamp)
			r.Header.Set(engine.HeaderNonce, nonce)
			spoil(r.Header)
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != 401 || w.Body.String() != invalid {
				t.Errorf("%s: got %d %s, want 401 %s", name, w.Code, w.Body, invalid)
			}
		}
		want(t, signed(e, "GET", "/memory_status", "", 1, 0), 200, isRunning) // none of them used up the nonce
	})
}

func TestControlCallsOutsideTheWindowAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{ControlKey: key, Speed: 100}) // the speed does not touch the window
		for i, skew := range []time.Duration{-300 * time.Second, 300 * time.Second} {
			want(t, signed(e, "GET", "/memory_status", "", i, skew), 200, isRunning)
		}
		for i, skew := range []time.Duration{-301 * time.Second, 301 * time.Second} {
			want(t, signed(e, "GET", "/memory_status", "", 10+i, skew), 401, `{"detail":"Runtime control timestamp is outside the validity window."}`)
		}
	})
}

func TestNoncesAreUsedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{ControlKey: key})
		want(t, signed(e, "GET", "/memory_status", "", 1, 0), 200, isRunning)
		want(t, signed(e, "GET", "/memory_status", "", 1, 0), 401, `{"detail":"Runtime control nonce has already been used."}`)
		want(t, signed(e, "POST", "/release_memory", "", 1, 0), 401, `{"detail":"Runtime control nonce has already been used."}`)
		time.Sleep(301 * time.Second)
		want(t, signed(e, "GET", "/memory_status", "", 1, 0), 200, isRunning)
	})
}

func TestFullNonceMemoryFailsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{ControlKey: key})
		for i := range 4096 {
			if w := signed(e, "GET", "/memory_status", "", i, 0); w.Code != 200 {
				t.Fatalf("call %d: got %d %s, want 200", i, w.Code, w.Body)
			}
		}
		want(t, signed(e, "GET", "/memory_status", "", 5000, 0), 401, `{"detail":"Runtime control replay cache capacity exceeded."}`)
		time.Sleep(302 * time.Second)
		want(t, signed(e, "GET", "/memory_status", "", 5000, 0), 200, isRunning)
	})
}

func TestLaxVariantRemembersNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{ControlKey: key, LaxControl: true})
		for range 2 {
			want(t, signed(e, "GET", "/memory_status", "", 1, -time.Hour), 200, isRunning)
		}
	})
}

func TestPageableBackupWakesSlower(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{PageableBackup: true})
		s.release("")
		if got := took(func() { s.resume("") }); !near(got, 2500*time.Millisecond, 0.01) {
			t.Errorf("got %v, want 2.5 times the usual 1 s", got)
		}
	})
}

// What a parked engine holds of the host's memory, and an awake one that has been parked.
func TestHostMemoryOfACopy(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		dir := t.TempDir()
		bubble(t, func(t *testing.T) {
			s := newSleeper(t, trtsim.Config{GPUDir: dir, Visible: []string{"GPU-a"}, KeepCopy: keeps})
			holds := func(when string, wantGPU, wantHost float64) {
				t.Helper()
				gpus, host, err := trtsim.Usage(dir)
				if err != nil || math.Abs(gpus["GPU-a"]/1e9-wantGPU) > 4 || math.Abs(host/1e9-wantHost) > 0.1 {
					t.Errorf("%s, keeps its copy %t: got %.1f GB of the GPU and %.1f of the host, %v; want %.1f and %.1f", when, keeps, gpus["GPU-a"]/1e9, host/1e9, err, wantGPU, wantHost)
				}
			}
			holds("new", 77, 0)
			s.release("")
			holds("parked", 3, 16.1)
			s.resume("")
			holds("resumed", 77, map[bool]float64{true: 16.1}[keeps])
		})
	}
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		s := newSleeper(t, trtsim.Config{GPUDir: dir, Visible: []string{"GPU-a"}, Faults: []trtsim.Fault{{Kind: trtsim.FaultReleaseShort}}})
		want(t, s.release(""), 200, success)
		if gpus, _, _ := trtsim.Usage(dir); math.Abs(gpus["GPU-a"]/1e9-46) > 4 {
			t.Errorf("got %.1f GB of the GPU in use behind a release that frees too little, want six tenths of 77", gpus["GPU-a"]/1e9)
		}
	})
}

func TestEnginesShareTheGPUsOfAHost(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		share := trtsim.Config{GPUDir: dir, Visible: []string{"GPU-a"}, KVFraction: 0.85}
		first := newSleeper(t, share)
		second, err := trtsim.New(trtsim.Config{Model: llama8B, GPUDir: dir, Visible: []string{"GPU-a"}, LoadTime: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "out of memory") {
			t.Errorf("got %v while the GPU is taken, want out of memory", err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		elsewhere := share
		elsewhere.Visible = []string{"GPU-b"}
		start(t, elsewhere)

		want(t, first.release(""), 200, success)
		third := newSleeper(t, share)
		wantContains(t, first.resume(""), 500, "out of memory")
		want(t, third.release(""), 200, success)
		want(t, third.resume(""), 200, success)
	})
}

func TestSwappingBetweenTwoEnginesWorks(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		a := newSleeper(t, trtsim.Config{GPUDir: dir, KVFraction: 0.85})
		want(t, a.release(""), 200, success)
		b := newSleeper(t, trtsim.Config{GPUDir: dir, KVFraction: 0.85})
		for range 3 {
			want(t, b.release(""), 200, success)
			want(t, a.resume(""), 200, success)
			parse(t, complete(a, `{"model":"m","prompt":"x","max_tokens":2}`))
			want(t, a.release(""), 200, success)
			want(t, b.resume(""), 200, success)
		}
	})
}

func TestDeadEnginesHoldNoGPUMemory(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		for range 2 {
			e, err := trtsim.New(trtsim.Config{Model: llama8B, GPUDir: dir, LoadTime: -1})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Load(t.Context()); err != nil {
				t.Fatalf("got %v, want the memory of a closed engine to be free", err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
