package trtsim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The server has three error shapes. They are told apart by the type that carries them.

// validationError is a body that the request model does not accept: 400 {"error":"<text>"}.
type validationError struct {
	items []string // each the repr of one of pydantic's error dicts
}

func (v *validationError) Error() string {
	plural := "s"
	if len(v.items) == 1 {
		plural = ""
	}
	return strconv.Itoa(len(v.items)) + " validation error" + plural + ":\n  " + strings.Join(v.items, "\n  ") + "\n"
}

func (v *validationError) add(kind, field, message, input string) {
	v.items = append(v.items, "{'type': '"+kind+"', 'loc': ('body', '"+field+"'), 'msg': '"+message+"', 'input': "+input+"}")
}

// refusal is an error in upstream's own wording: 400 in the shape of create_error_response.
type refusal struct{ message string }

func (r *refusal) Error() string { return r.message }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// detailError is FastAPI's own: {"detail":"<text>"}.
type detailError struct {
	status int
	detail string
}

func (d *detailError) Error() string { return d.detail }

// errGone is the end of a request whose client has left; errCut of one that the engine left unanswered.
var (
	errGone = errors.New("the client has left")
	errCut  = errors.New("the connection is cut")
)

// writeFailure answers an error in the shape that its type asks for. Whatever is not known is a BadRequestError, as upstream's
// catch-all has it.
func writeFailure(w http.ResponseWriter, err error) {
	var invalid *validationError
	var detail *detailError
	switch {
	case errors.As(err, &invalid):
		writeJSON(w, http.StatusBadRequest, append(appendString([]byte(`{"error":`), err.Error()), '}'))
	case errors.As(err, &detail):
		writeDetail(w, detail.status, detail.detail)
	default:
		writeError(w, http.StatusBadRequest, err.Error())
	}
}

// writeError answers the shape of create_error_response.
func writeError(w http.ResponseWriter, status int, message string) {
	kind := "BadRequestError"
	if status >= 500 {
		kind = "InternalServerError"
	}
	b := appendString([]byte(`{"object":"error","message":`), message)
	b = append(b, `,"type":"`...)
	b = append(b, kind...)
	b = append(b, `","param":null,"code":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	writeJSON(w, status, append(b, '}'))
}

func writeDetail(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, append(appendString([]byte(`{"detail":`), detail), '}'))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left is noticed by its request's context
}

// Header values that every answer shares; nobody writes to them.
var (
	jsonType   = []string{"application/json"}
	textType   = []string{"text/plain; charset=utf-8"}
	eventType  = []string{"text/event-stream; charset=utf-8"}
	serverName = []string{"trtsim (simulated TensorRT-LLM, no GPU)"}
)

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Text that is not UTF-8 cannot reach it: bodies are checked.
func appendString(b []byte, s string) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped appends s as the inside of a JSON string.
func appendEscaped(b []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(b, s[from:]...)
}
