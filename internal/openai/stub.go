package openai

// Fields is what Inspect found in a request body. The zero value is ready; reuse it for the next request to save
// allocations. It holds no reference to the body.
type Fields struct {
	Model        string
	Stream       bool
	IncludeUsage bool // the caller asked for the usage chunk of a stream

	Findings []Finding // fields that control the engine, and media to be fetched, in the order of the body
}

// Finding is a part of a request that only models that allow it may receive.
type Finding struct {
	Name string // what a model's allow list calls it: the field's name, or "remote_media"
	Path string // where it stands, such as "messages[0].content[1].image_url.url"
}

// RemoteMedia is the name of findings that are media to be fetched by the engine.
const RemoteMedia = "remote_media"

// RequestError says why a request body is refused with status 400 and code invalid_request.
type RequestError struct {
	Message string // for the caller
	Param   string // the field at fault, or ""
}

func (e *RequestError) Error() string { return e.Message }

// Inspect scans body, a request to the endpoint ("chat", "completions", "embeddings", …), strictly. The error is a *RequestError.
func Inspect(body []byte, endpoint string, f *Fields) error { panic("unfinished") }

// Refused gives the path of the first finding that allow does not list, or "".
func (f *Fields) Refused(allow []string) string { panic("unfinished") }

// Rewrite gives the segments of the body to send to the engine; valid until the next Inspect or Rewrite of f. Streams of
// chat and completions ask for usage; a cacheSalt that is not empty is set, or put before the caller's own.
func (f *Fields) Rewrite(body []byte, cacheSalt string) [][]byte { panic("unfinished") }

// Kind says what an event is.
type Kind uint8

// The kinds of events.
const (
	KindComment Kind = iota // no data: comments, blank lines, fields that we do not know
	KindChunk               // data; the first one of a stream carries its first token
	KindUsage               // a chunk with usage and without choices
	KindError               // an error of the engine, in any of its shapes
	KindDone                // [DONE]
)

// Event is one whole event. Raw and Data are valid until the next Feed.
type Event struct {
	Kind Kind
	Raw  []byte // as it came, with the blank line that ends it
	Data []byte // the data lines, joined by \n
}

// Scanner cuts a stream of bytes into whole events. The zero value is ready.
//
//	for sc.Feed(piece); sc.Next(); { ev := sc.Event() }
//	if err := sc.Err(); err != nil { … }
type Scanner struct {
	Limit int // of an event, in bytes; 0 = 4 MiB
}

// ErrEventTooLarge: an event is longer than the scanner's limit.
var ErrEventTooLarge error

// Feed gives the next bytes. They must stay as they are until Next has said false.
func (s *Scanner) Feed(p []byte) { panic("unfinished") }

// End says that no more bytes come: a last event that ends in a bare \r is whole now. Call Next after it.
func (s *Scanner) End() { panic("unfinished") }

// Next moves to the next whole event.
func (s *Scanner) Next() bool { panic("unfinished") }

// Event is the event that Next moved to.
func (s *Scanner) Event() Event { panic("unfinished") }

// Err is ErrEventTooLarge or nil.
func (s *Scanner) Err() error { panic("unfinished") }

// Buffered is the number of bytes of the event that is not whole yet.
func (s *Scanner) Buffered() int { panic("unfinished") }

// Usage is the last usage that the stream has told.
func (s *Scanner) Usage() Usage { panic("unfinished") }

// Reset makes the scanner ready for another stream; it keeps its buffer and limit.
func (s *Scanner) Reset() { panic("unfinished") }

// Usage counts tokens as the engine did.
type Usage struct {
	PromptTokens, CompletionTokens int64
	Known                          bool // the engine has said so
}

// BodyUsage reads the usage of a complete JSON answer.
func BodyUsage(body []byte) Usage { panic("unfinished") }

// Error is an answer in the error shape of the OpenAI API.
type Error struct {
	Status  int     `json:"-"`
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

// NewError gives the error of one of the codes below, with the status and type that belong to it.
func NewError(code, message string) *Error { panic("unfinished") }

func (e *Error) Error() string { return e.Message }

// JSON is the body {"error":{…}}.
func (e *Error) JSON() []byte { panic("unfinished") }

// Event is the stream event "data: {"error":{…}}\n\n".
func (e *Error) Event() []byte { panic("unfinished") }

// EngineError gives what an engine's error answer says, fit to be shown: without addresses, paths and stacks.
func EngineError(status int, body []byte) (message string) { panic("unfinished") }
