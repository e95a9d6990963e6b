package dialect

import (
	"time"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Dialect is an API whose requests are translated. The values are shared and never written to.
type Dialect interface {
	// Translate reads the body of a request that openai.Inspect has passed, for the model and in the mode that it found there. The error is an
	// *openai.RequestError. The request keeps nothing of the body.
	Translate(body []byte, f *openai.Fields) (Request, error)

	// AppendError appends the body of an answer that is an error.
	AppendError(dst []byte, e *openai.Error, request string) []byte

	// AppendEvent appends an event that ends a stream with an error.
	AppendEvent(dst []byte, e *openai.Error, request string) []byte

	// Read tells what an event means whose data comes from an engine that speaks the dialect itself.
	Read(data []byte) Event

	// Usage reads the usage of a whole answer of such an engine.
	Usage(answer []byte) openai.Usage
}

// Event is what an event of a stream means.
type Event struct {
	Kind  EventKind
	Usage openai.Usage // as far as this one tells
}

// EventKind says what follows from an event.
type EventKind uint8

// The kinds of events.
const (
	EventPart   EventKind = iota // a part of the answer
	EventPing                    // nothing
	EventEnd                     // the answer is whole
	EventFailed                  // there will be none
)

// Request is a request in the words of chat completions, and what its answer has to repeat of it.
type Request interface {
	// Chat is the body for an engine. Whoever sends it checks it as one that a caller has sent.
	Chat() []byte

	// Remote is where in the caller's body an image stands that the engine would have to fetch, "" if none does. The check of Chat finds it
	// too, at another path.
	Remote() string

	// Native gives the body for an engine that speaks the dialect itself: the caller's, which was translated, or a changed copy.
	Native(body []byte) []byte

	// AppendAnswer appends the answer to a request that is not streamed: chat is the engine's, whole. The error says what is wrong with that.
	AppendAnswer(dst, chat []byte, h *Head) ([]byte, error)

	// Stream begins the answer to one that is.
	Stream(h *Head) Stream
}

// translated is what a request has come to.
type translated struct {
	chat   []byte
	remote string
}

func (t *translated) Chat() []byte { return t.chat }

func (t *translated) Remote() string { return t.remote }

func (*translated) Native(body []byte) []byte { return body }

// Stream turns the events of an engine into those of a dialect. Its methods append whole events and are called in any order and number; after End or Fail,
// none is called.
type Stream interface {
	// AppendKeepalive appends an event that says nothing.
	AppendKeepalive(dst []byte) []byte

	// AppendChunk takes in the data of an engine's event and appends what it says. The error says what is wrong with it.
	AppendChunk(dst, data []byte) ([]byte, error)

	// AppendEnd appends what follows the engine's last event. The error says what a whole answer would have and this one has not.
	AppendEnd(dst []byte) ([]byte, error)

	// AppendFailure appends what ends a stream that has failed.
	AppendFailure(dst []byte, e *openai.Error) []byte
}

// Head is what an answer has that is not the engine's.
type Head struct {
	Request string    // its ID; those of answers and their parts are made of it
	Model   string    // as the caller named it
	Created time.Time // when the request came
}

// Messages is Anthropic's API, Responses is OpenAI's.
var (
	Messages  Dialect = messages{}
	Responses Dialect = responses{}
)
