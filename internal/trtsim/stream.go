package trtsim

import (
	"net/http"
	"strconv"
)

// stream is an answer as server-sent events, one write for each iteration's token.
//
// The head goes out at once, before there is a token. The role chunk comes with the first token, and has a space before its
// empty line, as upstream's has.
func (e *Engine) stream(w http.ResponseWriter, r *http.Request, rep *reply) error {
	h := w.Header()
	h["Content-Type"] = eventType
	w.WriteHeader(http.StatusOK)
	flusher, _ := w.(http.Flusher)
	if flusher != nil {
		flusher.Flush()
	}
	pooled := e.buffer.Get().(*[]byte)
	s := &streamer{w: w, flusher: flusher, rep: rep, prefix: rep.chunkPrefix(), buf: (*pooled)[:0]}
	defer func() { *pooled = s.buf[:0]; e.buffer.Put(pooled) }()
	s.voices = make([]voice, len(rep.answers))
	for i := range s.voices {
		s.voices[i].text = newText(rep.answers[i].key, rep.answers[i].open)
	}
	return e.relay(r, s)
}

// relay sends tokens as they are made.
func (e *Engine) relay(r *http.Request, s *streamer) error {
	j := s.rep.job
	for {
		finished := j.finished.Load() // read before the counts: then those are final
		if err := s.sendNew(); err != nil {
			return e.depart(j) // a failed write is a client that has left
		}
		if err := e.strike(s.rep); err != nil {
			return err
		}
		if finished && !(j.fault.Kind == FaultHang && j.stalled()) {
			break
		}
		if err := e.await(r, j); err != nil {
			return err
		}
	}
	_ = s.end() // there is nothing left to stop for a client that leaves now
	return nil
}

// streamer writes the events of one request.
type streamer struct {
	w       http.ResponseWriter
	flusher http.Flusher
	rep     *reply
	prefix  []byte // of every event, up to the choices
	buf     []byte
	voices  []voice
	begun   bool
	sent    int // tokens
}

// voice is one of the request's answers as far as it has been sent.
type voice struct {
	text  text
	sent  int // tokens
	bytes int // of text, for the cut at a stop string
}

func (rep *reply) chunkPrefix() []byte {
	b := make([]byte, 0, 160)
	if rep.chat {
		b = append(b, `data: {"id":"chatcmpl-`...)
	} else {
		b = append(b, `data: {"id":"cmpl-`...)
	}
	b = strconv.AppendInt(b, rep.id, 10)
	if rep.chat {
		b = append(b, `","object":"chat.completion.chunk","created":`...)
	} else {
		b = append(b, `","object":"text_completion","created":`...)
	}
	b = strconv.AppendInt(b, rep.created, 10)
	b = append(b, `,"model":`...)
	b = appendString(b, rep.model)
	return append(b, `,"choices":[`...)
}

// sendNew sends an event for every token that was made since.
func (s *streamer) sendNew() error {
	for i := range s.voices {
		v := &s.voices[i]
		for made := int(s.rep.job.sequences[i].made.Load()); v.sent < made; {
			if !s.begun {
				s.openRoles()
				s.begun = true
			}
			s.token(i, v)
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *streamer) flush() error {
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	if s.flusher != nil {
		s.flusher.Flush()
	}
	return err
}

// openRoles announces every answer of a chat, and repeats what was asked to be echoed.
func (s *streamer) openRoles() {
	if !s.rep.chat {
		return
	}
	for i := range s.voices {
		s.buf = append(s.buf, s.prefix...)
		s.buf = append(s.buf, `{"index":`...)
		s.buf = strconv.AppendInt(s.buf, int64(i), 10)
		s.buf = append(s.buf, `,"delta":{"role":"assistant"}}]} `+"\n\n"...)
	}
	for i := range s.voices {
		echo := s.rep.prompts[i/s.rep.n].echo
		if echo == "" {
			continue
		}
		s.buf = append(s.buf, s.prefix...)
		s.buf = append(s.buf, `{"index":`...)
		s.buf = strconv.AppendInt(s.buf, int64(i), 10)
		s.buf = append(s.buf, `,"delta":{"content":`...)
		s.buf = appendString(s.buf, echo)
		s.buf = append(s.buf, "}}]} \n\n"...)
	}
}

// token appends the event of one token. It may carry no text: the end token has none, and text behind a stop string is withheld.
func (s *streamer) token(i int, v *voice) {
	a := &s.rep.answers[i]
	first := v.sent == 0
	v.sent++
	s.sent++
	last := v.sent == a.limit
	var room [32]byte
	piece := room[:0]
	if !(last && a.ended) {
		piece = v.text.next(piece)
	}
	if a.keep >= 0 {
		piece = piece[:max(0, min(len(piece), a.keep-v.bytes))]
	}
	v.bytes += len(piece)
	s.buf = append(s.buf, s.prefix...)
	s.buf = append(s.buf, `{"index":`...)
	s.buf = strconv.AppendInt(s.buf, int64(i), 10)
	switch {
	case a.script.calls():
		s.callDelta(a, i, piece, first, last)
	case s.rep.chat:
		s.chatDelta(a, piece, last)
	default:
		s.completionDelta(a, i, piece, first, last)
	}
	s.buf = append(s.buf, "}\n\n"...)
}

// chatDelta leaves out what is null, as chat chunks do.
func (s *streamer) chatDelta(a *answer, piece []byte, last bool) {
	s.buf = append(s.buf, `,"delta":{"content":"`...)
	s.piece(a, piece)
	s.buf = append(s.buf, `","reasoning_content":""}`...)
	s.chatEnd(a, last)
}

// callDelta sends a piece of a call's arguments; the first one names the call.
func (s *streamer) callDelta(a *answer, i int, piece []byte, first, last bool) {
	s.buf = append(s.buf, `,"delta":{`...)
	if len(piece) > 0 {
		s.buf = append(s.buf, `"tool_calls":[{"index":0,`...)
		if first {
			s.buf = s.rep.appendCall(s.buf, i)
		} else {
			s.buf = append(s.buf, `"function":{"arguments":`...)
		}
		s.buf = append(s.buf, '"')
		s.piece(a, piece)
		s.buf = append(s.buf, `"}}]`...)
	}
	s.buf = append(s.buf, '}')
	s.chatEnd(a, last)
}

// piece appends a token's text inside a JSON string. Simulated text has nothing to escape.
func (s *streamer) piece(a *answer, piece []byte) {
	if a.script == nil {
		s.buf = append(s.buf, piece...)
		return
	}
	s.buf = appendEscaped(s.buf, string(piece))
}

// chatEnd ends the choice of a chat's chunk.
func (s *streamer) chatEnd(a *answer, last bool) {
	if last {
		s.buf = append(s.buf, `,"finish_reason":"`...)
		s.buf = append(s.buf, a.finish...)
		s.buf = append(s.buf, '"')
		if a.stop != "" {
			s.buf = append(s.buf, `,"stop_reason":`...)
			s.buf = appendString(s.buf, a.stop)
		}
	}
	s.buf = append(s.buf, "}]"...)
	if s.rep.continuous {
		s.buf = append(s.buf, `,"usage":`...)
		s.buf = s.rep.appendUsage(s.buf, s.sent)
	}
}

// completionDelta keeps what is null, as completion chunks do.
func (s *streamer) completionDelta(a *answer, i int, piece []byte, first, last bool) {
	s.buf = append(s.buf, `,"text":`...)
	if echo := s.rep.prompts[i/s.rep.n].echo; first && echo != "" {
		s.buf = appendString(s.buf, echo)
		s.buf = s.buf[:len(s.buf)-1]
		s.piece(a, piece)
		s.buf = append(s.buf, '"')
	} else {
		s.buf = append(s.buf, '"')
		s.piece(a, piece)
		s.buf = append(s.buf, '"')
	}
	s.buf = append(s.buf, `,"token_ids":null,"logprobs":null,"context_logits":null`...)
	s.buf = a.appendEnd(s.buf, last)
	s.buf = append(s.buf, `}],"usage":`...)
	if s.rep.continuous {
		s.buf = s.rep.appendUsage(s.buf, s.sent)
	} else {
		s.buf = append(s.buf, "null"...)
	}
}

// end sends the usage, where asked for, and the end mark.
func (s *streamer) end() error {
	if s.rep.usage {
		s.buf = append(s.buf, s.prefix...)
		s.buf = append(s.buf, `],"usage":`...)
		s.buf = s.rep.appendUsage(s.buf, s.sent)
		s.buf = append(s.buf, "}\n\n"...)
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.buf = append(s.buf, "data: [DONE]\n\n"...)
	return s.flush()
}
