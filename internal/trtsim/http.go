package trtsim

import (
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// handler answers one request whose body has been read.
type handler func(w http.ResponseWriter, r *http.Request, body []byte)

// route is the handlers of one path by method.
type route map[string]handler

// routes lists what this server has of the real one's routes: one for embeddings has none of the others' to generate text. Responses, messages, profiling
// and disaggregated serving are not simulated: they are answered 404, like anything that is not known.
func (e *Engine) routes() map[string]route {
	const get, post = http.MethodGet, http.MethodPost
	all := map[string]route{
		"/health":              {get: e.serveHealth},
		"/health_generate":     {get: e.serveHealthGenerate},
		"/version":             {get: e.serveVersion},
		"/v1/models":           {get: e.serveModels},
		"/v1/chat/completions": {post: e.serveChat},
		"/v1/completions":      {post: e.serveCompletions},
		"/metrics":             {get: e.serveMetrics},
		"/server_info":         {get: e.serveInfo},
		"/kv_cache_events":     {post: e.serveKVEvents},
		"/energy_metrics":      {get: e.serveEnergy},
		"/_internal/tokenize":  {post: e.serveTokenize},
	}
	if e.cfg.Embeddings {
		delete(all, "/v1/chat/completions")
		delete(all, "/v1/completions")
		all["/v1/embeddings"] = route{post: e.serveEmbeddings}
	}
	if len(e.cfg.ControlKey) > 0 {
		all["/release_memory"] = route{post: e.serveRelease}
		all["/resume_memory"] = route{post: e.serveResume}
		all["/memory_status"] = route{get: e.serveMemoryStatus}
	}
	if e.cfg.FaultRoute {
		all["/sim/faults"] = route{get: e.serveFaults, post: e.serveFaults}
	}
	return all
}

// ServeHTTP answers one request as trtllm-serve would. Before Load has returned, and after the engine has died, it cuts the connection
// by panicking with http.ErrAbortHandler.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.alive() {
		panic(http.ErrAbortHandler)
	}
	e.handlers.enter()
	defer e.handlers.leave()
	w.Header()["Server"] = serverName
	methods, known := e.paths[r.URL.Path]
	if !known {
		writeDetail(w, http.StatusNotFound, "Not Found")
		return
	}
	handle, allowed := methods[r.Method]
	if !allowed {
		for method := range methods {
			w.Header().Add("Allow", method)
		}
		writeDetail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	body, err := readBody(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has left half-way through its request
	}
	handle(w, r, body)
}

func (e *Engine) alive() bool {
	select {
	case <-e.dead:
		return false
	default:
		return e.loaded.Load()
	}
}

// readBody reads a body whole and without a limit, as the real server does.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength <= 0 || r.ContentLength > 1<<20 {
		return io.ReadAll(r.Body)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

// serveHealth says whether the executor is alive. It knows nothing of parking.
func (e *Engine) serveHealth(w http.ResponseWriter, _ *http.Request, _ []byte) {
	if _, strikes := e.take(FaultHealth); strikes {
		w.Header()["Content-Type"] = textType
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "LLM is unavailable. Please check the server logs for more details.")
		return
	}
	w.Header()["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusOK)
}

// serveHealthGenerate makes one token of a chat, behind whatever is queued.
func (e *Engine) serveHealthGenerate(w http.ResponseWriter, r *http.Request, _ []byte) {
	hi := prompt{tokens: tokensPerPrompt + tokensPerMessage + 1 + tokensPerAnswer}
	rep, err := e.accept(&request{chat: true, prompts: []prompt{hi}, n: 1, most: 1})
	if err == nil {
		err = e.whole(r, rep)
	}
	w.Header()["Content-Type"] = textType
	switch err {
	case nil:
		_, _ = io.WriteString(w, "Generation health check OK")
	case errGone:
	case errCut:
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "Generation health check failed: "+err.Error())
	}
}

func (e *Engine) serveVersion(w http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(w, http.StatusOK, []byte(`{"version":"`+Version+`"}`))
}

func (e *Engine) serveModels(w http.ResponseWriter, _ *http.Request, _ []byte) {
	b := appendString([]byte(`{"object":"list","data":[{"id":`), e.cfg.ServedModelName)
	b = append(b, `,"object":"model","created":`...)
	b = strconv.AppendInt(b, time.Now().Unix(), 10)
	writeJSON(w, http.StatusOK, append(b, `,"owned_by":"tensorrt_llm"}]}`...))
}

func (e *Engine) serveKVEvents(w http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(w, http.StatusOK, []byte("[]"))
}

func (e *Engine) serveEnergy(w http.ResponseWriter, _ *http.Request, _ []byte) {
	writeJSON(w, http.StatusServiceUnavailable, []byte(`{"error":"Energy monitoring is not available"}`))
}

// serveTokenize counts by the rule of Count; the ids are made up.
func (e *Engine) serveTokenize(w http.ResponseWriter, r *http.Request, body []byte) {
	var in struct {
		Prompt *string `json:"prompt"`
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Prompt == nil {
		v := &validationError{}
		v.add("missing", "prompt", "Field required", repr(body))
		writeFailure(w, v)
		return
	}
	all := pieces(*in.Prompt)
	b := append([]byte(`{"count":`), strconv.Itoa(tokensPerPrompt+len(all))...)
	b = append(b, `,"tokens":[128000`...)
	for _, piece := range all {
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(tokenID(piece)), 10)
	}
	writeJSON(w, http.StatusOK, append(b, "]}"...))
}

// baseName is the last element of a path, and any other name as it is.
func baseName(model string) string {
	if strings.HasPrefix(model, "/") || strings.HasPrefix(model, ".") {
		return path.Base(model)
	}
	return model
}
