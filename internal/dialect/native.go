package dialect

import (
	"bytes"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// Read finds the usage where message_start and message_delta have it: both count what was used up to then.
func (messages) Read(data []byte) Event {
	var e Event
	openai.Members(data, func(key, value []byte) bool {
		switch string(key) {
		case "type":
			e.Kind = messagesEventKind(value)
		case "message":
			e.Usage = usageOf(value)
		case "usage":
			e.Usage = openai.ReadTokens(value)
		}
		return true
	})
	return e
}

func messagesEventKind(kind []byte) EventKind {
	switch string(kind) {
	case `"ping"`:
		return EventPing
	case `"message_stop"`:
		return EventEnd
	case `"error"`:
		return EventFailed
	}
	return EventPart
}

// Read finds the usage in the response with which a stream ends.
func (responses) Read(data []byte) Event {
	var e Event
	openai.Members(data, func(key, value []byte) bool {
		switch string(key) {
		case "type":
			e.Kind = responsesEventKind(value)
		case "response":
			e.Usage = usageOf(value)
		}
		return true
	})
	return e
}

func responsesEventKind(kind []byte) EventKind {
	switch string(kind) {
	case `"response.completed"`, `"response.incomplete"`:
		return EventEnd
	case `"response.failed"`, `"error"`:
		return EventFailed
	}
	return EventPart
}

// withoutStore gives the body with store set to false. Engines that store take its absence, and null, for true, and would hand what they have stored to whoever
// names it.
func withoutStore(body []byte) []byte {
	b := append(make([]byte, 0, len(body)+16), `{"store":false`...)
	openai.Members(bytes.TrimPrefix(body, []byte(byteOrderMark)), func(key, value []byte) bool {
		if string(key) != "store" {
			b = openai.AppendString(append(b, ','), string(key))
			b = append(append(b, ':'), value...)
		}
		return true
	})
	return append(b, '}')
}

func (messages) Usage(answer []byte) openai.Usage { return usageOf(answer) }

func (responses) Usage(answer []byte) openai.Usage { return usageOf(answer) }

// usageOf reads the member usage of a message or a response.
func usageOf(answer []byte) (u openai.Usage) {
	openai.Members(answer, func(key, value []byte) bool {
		if string(key) == "usage" {
			u = openai.ReadTokens(value)
		}
		return true
	})
	return u
}
