package trtsim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Version is what GET /version answers: the upstream release whose contract is simulated, marked as ours.
const Version = "1.3.0rc22+trtsim"

// ErrDied is returned by Run and Serve after an injected death of the engine.
var ErrDied = errors.New("the simulated engine died")

// ErrInterrupted is returned by Serve after the engine has interrupted itself, as the real one does on a fatal error.
var ErrInterrupted = errors.New("the simulated engine interrupted itself")

// ErrLoad is wrapped by the errors of Load.
var ErrLoad = errors.New("loading the simulated engine failed")

// Engine is one simulated engine. Its methods may be called from any goroutine, Load and one of Run and Serve once each.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	open   []string // the disclaimer's tokens
	paths  map[string]route
	loaded atomic.Bool
	ids    atomic.Int64
	buffer sync.Pool // of *[]byte, for answers

	handlers handlers // requests being answered

	wake      chan struct{} // holds 1: the loop has something new to look at
	dead      chan struct{} // closed when nothing is answered any more
	interrupt chan struct{} // closed when the engine wants to be shut down

	mu          sync.Mutex // guards all below
	pace        pace
	deadCause   error
	interrupted bool
	faults      []Fault
	batch       batch
	memory      *memory
	startup     startup
}

// startup is what GET /server_info tells of the load.
type startup struct {
	weights time.Duration
}

// New checks the config and makes an engine that is not loaded. It starts nothing.
func New(c Config) (*Engine, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("making a simulated engine: %w", err)
	}
	e := &Engine{
		cfg: c, log: c.Log, open: pieces(Disclaimer),
		buffer: sync.Pool{New: func() any { return new(make([]byte, 0, 1024)) }},
		wake:   make(chan struct{}, 1), dead: make(chan struct{}), interrupt: make(chan struct{}),
		faults: append([]Fault(nil), c.Faults...),
	}
	e.pace = newPace(&e.cfg)
	e.memory = newMemory()
	e.paths = e.routes()
	return e, nil
}

// Load takes as long as loading the model does. Until it has returned nil, every request's connection is cut unanswered,
// as nearly as a handler can to the refused connections of the real server. Its errors are ErrLoad or ctx's cause.
func (e *Engine) Load(ctx context.Context) error {
	began := time.Now()
	start, weights, warmup := e.loadTimes()
	fault, failing := e.take(FaultLoad)
	whole := start + weights + warmup
	if failing {
		return e.failLoad(ctx, time.Duration(float64(whole)*or(fault.Factor, 1)))
	}
	e.log.Info("loading simulated engine", "model", e.cfg.ServedModelName, "gpus", e.cfg.GPUs, "simulated_seconds", whole.Seconds(), "speed", e.cfg.Speed)
	if err := e.sleep(ctx, start); err != nil {
		return err
	}
	tokens, err := e.allocate()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	if err := e.sleep(ctx, weights+warmup); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batch.capacity, e.batch.free = tokens, tokens
	e.batch.extra = e.pace.first(true)
	e.startup = startup{weights: weights}
	e.loaded.Store(true)
	e.log.Info("simulated engine is ready", "model", e.cfg.ServedModelName, "kv_tokens", tokens, "took", time.Since(began))
	return nil
}

// loadTimes gives the three parts of a load, jittered.
func (e *Engine) loadTimes() (start, weights, warmup time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	start, weights, warmup = e.pace.start(), e.pace.weights(), e.pace.warmup()
	if e.cfg.LoadTime != 0 {
		whole := start + weights + warmup
		share := float64(max(e.cfg.LoadTime, 0)) / float64(whole)
		scale := func(d time.Duration) time.Duration { return time.Duration(float64(d) * share) }
		start, weights = scale(start), scale(weights)
		return start, weights, max(e.cfg.LoadTime, 0) - start - weights // to the nanosecond, and never jittered
	}
	return e.pace.jitter(start, 0.2), e.pace.jitter(weights, 0.2), e.pace.jitter(warmup, 0.2)
}

func (e *Engine) failLoad(ctx context.Context, after time.Duration) error {
	if err := e.sleep(ctx, after); err != nil {
		return err
	}
	return fmt.Errorf("%w: RuntimeError: injected failure", ErrLoad)
}

// allocate takes the engine's GPU memory and says how many tokens its KV pool holds.
func (e *Engine) allocate() (tokens int, err error) {
	free := float64(gpuMemory)
	if e.cfg.GPUDir != "" {
		if err := e.memory.open(&e.cfg); err != nil {
			return 0, err
		}
		if free, err = e.memory.account.free(); err != nil {
			return 0, err
		}
	}
	if tokens = e.pace.kvTokens(free); tokens < 1 {
		return 0, fmt.Errorf("torch.OutOfMemoryError: CUDA out of memory: %.1f GB of weights do not fit on %d GPUs with %.1f GB free each",
			e.cfg.Profile.Weights/1e9, e.cfg.GPUs, free/1e9)
	}
	perGPU := (e.cfg.Profile.Weights/float64(e.cfg.GPUs) + gpuRuntime)
	e.memory.weights = e.cfg.Profile.Weights / float64(e.cfg.GPUs)
	e.memory.kv = (free - perGPU) * e.cfg.KVFraction
	return tokens, e.memory.charge(e.memory.parked)
}

// sleep waits for a simulated time.
func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(e.pace.real(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.dead:
		return ErrDied
	}
}

// die ends the engine: every request in flight is cut. Only the first cause counts.
func (e *Engine) die(cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.deadCause == nil {
		e.deadCause = cause
		close(e.dead)
	}
}

// interruptSelf asks Serve for a shutdown that drains.
func (e *Engine) interruptSelf() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.interrupted {
		e.interrupted = true
		close(e.interrupt)
	}
}

// nudge makes the loop look again.
func (e *Engine) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Close gives back what the engine holds outside its process's memory: its account of GPU memory. A process that ends gives it
// back as well.
func (e *Engine) Close() error { return e.memory.close() }
