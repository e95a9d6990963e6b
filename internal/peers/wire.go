package peers

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pilotlight-io/pilotlight/activator/protocol"
)

// Version is that of what is said here. Servers of different ones do not understand each other.
const Version = 1

// The routes, and the headers that every request has.
const (
	followPath  = "/v1/follow"  // POST a hello; a stream of lines: a welcome, then tables; an empty line is a sign of life
	reportPath  = "/v1/reports" // POST a report; heard
	operatePath = "/v1/operate" // POST a call; its answer

	versionHeader = "Pilotlight-Protocol"
	clusterHeader = "Pilotlight-Cluster"
)

const (
	heartbeatEvery = time.Second
	silenceMost    = 3 * heartbeatEvery
	sendWithin     = 5 * time.Second
	answerWithin   = 35 * time.Second // an operator's call: longer than the admin API gives one
	messageMost    = 64 << 20         // bytes
)

// Info is one server, for people.
type Info struct {
	Name      string    `json:"name"` // the same over its lives
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Version   string    `json:"version"` // of the program
	StartedAt time.Time `json:"started_at"`
	API       string    `json:"api"`    // where its public API listens
	Admin     string    `json:"admin"`  // where its admin API listens
	Config    string    `json:"config"` // version of its config: of what a planner uses
	Store     string    `json:"store"`  // which store it has
}

// hello opens a stream.
type hello struct {
	Info  Info  `json:"info"`
	Parts Parts `json:"parts"`
}

// welcome is the first line of a stream.
type welcome struct {
	Info  Info   `json:"info"`
	Term  uint64 `json:"term"`
	Parts Parts  `json:"parts"`
}

// letter is a line of a stream.
type letter struct {
	Tables []*protocol.Table `json:"tables,omitempty"`
}

// told is the body of a report.
type told struct {
	Config   string           `json:"config"`
	Farewell bool             `json:"farewell,omitempty"` // it is this server's last
	Report   *protocol.Report `json:"report"`
}

// heard answers a report.
type heard struct {
	Term  uint64 `json:"term"`
	Seq   uint64 `json:"seq"`
	Taken bool   `json:"taken"`
}

// Call is an operator's request that another server answers. Whoever passes it on has found out who asks.
type Call struct {
	Method  string `json:"method"`
	URI     string `json:"uri"` // path and query
	Body    []byte `json:"body,omitempty"`
	Admin   string `json:"admin"` // who asks
	Role    string `json:"role"`
	From    string `json:"from"`    // the address that he asks from
	Request string `json:"request"` // its ID
	Via     string `json:"via"`     // the server that passes it on
}

// Answer is that of a call.
type Answer struct {
	Status int    `json:"status"`
	Type   string `json:"type"` // of the body
	Body   []byte `json:"body,omitempty"`
}

// Errors that one server answers another.
var (
	ErrNotLeading = errors.New("the server asked does not lead")
	ErrVersion    = errors.New("the servers speak different versions of their protocol")
	ErrCluster    = errors.New("the servers are of different clusters")
	ErrStore      = errors.New("the servers have different stores, and so other organisations and bills")
	ErrKey        = errors.New("the other side has another servers key than this server, or is no server of Pilotlight")
	ErrBadMessage = errors.New("a message cannot be read")
	ErrNoCalls    = errors.New("operators' calls are not answered here")
)

// errorBody is the body of every answer that is an error.
type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// codes says how errors travel.
var codes = []struct {
	code   string
	status int
	err    error
}{
	{"not_leading", http.StatusConflict, ErrNotLeading},
	{"other_version", http.StatusUpgradeRequired, ErrVersion},
	{"other_cluster", http.StatusForbidden, ErrCluster},
	{"other_store", http.StatusForbidden, ErrStore},
	{"bad_message", http.StatusBadRequest, ErrBadMessage},
	{"no_calls", http.StatusNotImplemented, ErrNoCalls},
}

// remoteError is an error in the other server's words.
type remoteError struct {
	message string
	kind    error // one of this package's; nil = it has none
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.kind }

func errorOf(body errorBody) error {
	for _, c := range codes {
		if c.code == body.Code {
			return &remoteError{body.Message, c.err}
		}
	}
	return fmt.Errorf("it answered %q", body.Message)
}
