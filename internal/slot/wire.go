package slot

import (
	"errors"
	"net/http"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// The routes of the API. The version is in the path: what changes in a way that the other side would not understand gets another one.
const (
	actsPath  = "/v1/acts"  // POST an order; 202, or an error
	fencePath = "/v1/fence" // POST a term, below which acts are refused from then on; 202, or an error
	watchPath = "/v1/watch" // GET a stream of server-sent events, each a complete observation with its number as id
)

// request is the body of a POST to actsPath. A launch brings its model along, so that a supervisor needs no config.
type request struct {
	Act   fleet.Act    `json:"act"`
	Model *fleet.Model `json:"model,omitempty"`
}

// fence is the body of a POST to fencePath.
type fence struct {
	Term uint64 `json:"term"`
}

// errorBody is the body of every answer that is an error.
type errorBody struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// codes says how the errors of Do travel.
var codes = []struct {
	code   string
	status int
	err    error
}{
	{"not_available", http.StatusNotImplemented, ErrNotAvailable},
	{"old_term", http.StatusConflict, ErrOldTerm},
	{"ended", http.StatusGone, ErrEnded},
	{"unknown_instance", http.StatusNotFound, ErrUnknown},
	{"wrong_state", http.StatusConflict, ErrState},
	{"exists", http.StatusConflict, ErrExists},
	{"unknown_model", http.StatusUnprocessableEntity, ErrUnknownModel},
	{"bad_block", http.StatusUnprocessableEntity, ErrBadBlock},
	{"busy", http.StatusConflict, ErrBusy},
	{"crowded", http.StatusConflict, ErrCrowded},
	{"host_memory", http.StatusConflict, ErrHostMemory},
	{"shutting_down", http.StatusServiceUnavailable, ErrShuttingDown},
	{"unauthorized", http.StatusUnauthorized, ErrUnauthorized},
}

// codeOf gives the code and the status of an error.
func codeOf(err error) (string, int) {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code, c.status
		}
	}
	return "bad_request", http.StatusBadRequest
}

// errorOf gives the error of a code; nil = the code is not known.
func errorOf(code string) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return nil
}
