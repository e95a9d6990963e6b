package router

import (
	"errors"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/dialect"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// translation stands between a caller who speaks a dialect and an engine that is asked in chat completions. It belongs to the connection's goroutine: an
// attempt keeps the engine's own events.
type translation struct {
	request dialect.Request
	head    dialect.Head
	stream  dialect.Stream
	scan    openai.Scanner
	out     []byte
	wrong   error // with the engine's answer
}

// translate turns the body, which is then the chat request that engines get, and checks that like any other. Where the engine speaks the dialect itself the
// body is held to the same rules, and stays.
func (in *intake) translate() *failure {
	d := in.endpoint.dialect
	if d == nil {
		return in.model.refuses(&in.fields)
	}
	req, err := d.Translate(in.body.B, &in.fields)
	if err != nil {
		return requestFailure(err)
	}
	if at := req.Remote(); at != "" && !slices.Contains(in.model.Allow, openai.RemoteMedia) {
		return in.model.remote(at)
	}
	if in.model.ServesNatively(in.endpoint.name) {
		return in.keep(req.Native(in.body.B))
	}
	in.translation = &translation{request: req, head: dialect.Head{Request: in.request, Model: in.model.ID, Created: in.received}, scan: openai.Scanner{Limit: int(in.r.c.EventLimit)}}
	if in.fields.Stream {
		in.translation.stream = req.Stream(&in.translation.head)
	}
	in.body.Replace(req.Chat())
	if err := openai.Inspect(in.body.B, string(chatEndpoint.name), &in.fields); err != nil {
		return requestFailure(err)
	}
	return in.model.refuses(&in.fields)
}

// keep makes b the body that engines get in the caller's own words. It was held to the rules of a translated one, and is held to the engines' own too.
func (in *intake) keep(b []byte) *failure {
	if &b[0] != &in.body.B[0] {
		in.body.Replace(b)
	}
	if err := openai.Inspect(in.body.B, string(in.endpoint.name), &in.fields); err != nil {
		return requestFailure(err)
	}
	return in.model.refuses(&in.fields)
}

// native is the dialect that the engine is asked in, nil where it is asked as for a chat.
func (in *intake) native() dialect.Dialect {
	if in.translation != nil {
		return nil
	}
	return in.endpoint.dialect
}

// asked is the endpoint that engines are asked at.
func (in *intake) asked() *endpoint {
	if in.translation != nil {
		return chatEndpoint
	}
	return in.endpoint
}

// words gives the engine's events in the caller's words. What it gives is valid until it is called again.
func (t *translation) words(events []byte) ([]byte, error) {
	t.out = t.out[:0]
	t.scan.Feed(events)
	for t.scan.Next() {
		e := t.scan.Event()
		if e.Kind == openai.KindComment { // ours: an engine's have been dropped
			t.out = append(t.out, e.Raw...)
		} else if err := t.chunk(e.Data); err != nil {
			return nil, err
		}
	}
	return t.out, t.scan.Err()
}

// chunk adds what one event says. After an error no other is looked at.
func (t *translation) chunk(data []byte) error {
	t.out, t.wrong = t.stream.AppendChunk(t.out, data)
	return t.wrong
}

// end is words for an engine's last events and its usage, with what follows them.
func (t *translation) end(events, usage []byte) ([]byte, error) {
	if _, err := t.words(events); err != nil {
		return nil, err
	}
	if len(usage) > 0 {
		if err := t.chunk(usage); err != nil {
			return nil, err
		}
	}
	t.out, t.wrong = t.stream.AppendEnd(t.out)
	return t.out, t.wrong
}

// failed is words for what an engine has said before it failed, with the failure.
func (t *translation) failed(events []byte, f *failure) []byte {
	if t.wrong == nil { // else out has what was said before
		_, _ = t.words(events) // what is wrong with them changes nothing now
	}
	t.out = t.stream.AppendFailure(t.out, f.wire())
	return t.out
}

// whole is an answer that is not streamed, in the caller's words.
func (t *translation) whole(chat []byte) ([]byte, *failure) {
	answer, err := t.request.AppendAnswer(nil, chat, &t.head)
	if err != nil {
		return nil, engineFailure(err)
	}
	return answer, nil
}

// requestFailure is what is wrong with a request's body.
func requestFailure(err error) *failure {
	f := failf(codeInvalidRequest, "%s", err.Error())
	var wrong *openai.RequestError
	if errors.As(err, &wrong) {
		f.param = wrong.Param
	}
	return f
}
