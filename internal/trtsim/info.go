package trtsim

import (
	"encoding/json"
	"net/http"
	"time"
)

// statsKept is how many iterations GET /metrics remembers between two reads.
const statsKept = 1000

// record keeps one iteration for GET /metrics.
func (b *batch) record(took time.Duration, decoders, prefill int) {
	if len(b.stats) == statsKept {
		b.stats = append(b.stats[:0], b.stats[1:]...)
	}
	b.stats = append(b.stats, iteration{
		number: b.iterations, took: took, active: len(b.active), queued: len(b.queue),
		decoders: decoders, prefill: prefill, capacity: b.capacity, free: b.free,
	})
}

type iterationJSON struct {
	GPUMemUsage           int64   `json:"gpuMemUsage"`
	Iter                  uint64  `json:"iter"`
	IterLatencyMS         float64 `json:"iterLatencyMS"`
	KVCacheStats          kvJSON  `json:"kvCacheStats"`
	NumActiveRequests     int     `json:"numActiveRequests"`
	NumQueuedRequests     int     `json:"numQueuedRequests"`
	InflightBatchingStats struct {
		NumContextTokens int `json:"numCtxTokens"`
		NumGenRequests   int `json:"numGenRequests"`
	} `json:"inflightBatchingStats"`
}

type kvJSON struct {
	FreeNumBlocks  int     `json:"freeNumBlocks"`
	MaxNumBlocks   int     `json:"maxNumBlocks"`
	TokensPerBlock int     `json:"tokensPerBlock"`
	UsedNumBlocks  int     `json:"usedNumBlocks"`
	CacheHitRate   float64 `json:"cacheHitRate"`
}

// serveMetrics gives the iterations since the last read, as a JSON array; an empty one unless they are kept.
func (e *Engine) serveMetrics(w http.ResponseWriter, _ *http.Request, _ []byte) {
	e.mu.Lock()
	stats := e.batch.stats
	e.batch.stats = nil
	perGPU := e.memory.weights + e.memory.kv + gpuRuntime
	e.mu.Unlock()
	out := make([]iterationJSON, len(stats))
	for i, s := range stats {
		out[i] = iterationJSON{
			GPUMemUsage: int64(perGPU), Iter: s.number, IterLatencyMS: float64(s.took) / float64(ms),
			NumActiveRequests: s.active, NumQueuedRequests: s.queued,
			KVCacheStats: kvJSON{
				FreeNumBlocks: s.free / tokensPerBlock, MaxNumBlocks: s.capacity / tokensPerBlock,
				TokensPerBlock: tokensPerBlock, UsedNumBlocks: (s.capacity - s.free) / tokensPerBlock,
			},
		}
		out[i].InflightBatchingStats.NumContextTokens = s.prefill
		out[i].InflightBatchingStats.NumGenRequests = s.decoders
	}
	body, _ := json.Marshal(out)
	writeJSON(w, http.StatusOK, body)
}

// serveInfo tells of the server, with the load times that an operator would record.
func (e *Engine) serveInfo(w http.ResponseWriter, _ *http.Request, _ []byte) {
	e.mu.Lock()
	weights := e.pace.real(e.startup.weights).Seconds()
	e.mu.Unlock()
	body, _ := json.Marshal(map[string]any{
		"disaggregated_params": struct{}{}, "max_batch_size": e.cfg.MaxBatchSize, "kv_cache_hash_algo": "v1_block_key",
		"tokens_per_block": tokensPerBlock,
		"startup_metrics": map[string]any{"model_loader": map[string]float64{
			"total_model_loading_seconds": weights, "checkpoint_preparation_seconds": 0, "weight_population_seconds": weights,
			"checkpoint_finalization_seconds": 0, "post_load_processing_seconds": 0,
		}},
	})
	writeJSON(w, http.StatusOK, body)
}
