package bench

import (
	"encoding/json"
	"fmt"
	"strings"
)

// words are common enough that a vocabulary of any size holds most of them as one token.
var words = strings.Fields(`about above across after again along always and around away before began below better between black blue bread
	bridge bright brought brown built called carried city clear close cold color common copper country dark deep door down early earth east
	empty evening every fall far farm field fire first floor food form found four free friend front full garden gate glass gold good grain
	grass great green ground half hand hard head heart heavy high hill home house idea inside iron island kept kind king lake large last late
	learn left life light line little long low made many map mark morning most move music name near never new next night north note number
	ocean often old open order other over own page paper part past path people place plain plant play point possible power quiet rain ran
	reach read red rest river road rock room round run salt same sand sea second seed seen set shade ship short side silver simple since sky
	slow small snow soft some song soon south space spring stand star stay step still stone stop storm story street strong summer sun table
	tall tell ten thin third through time today together town travel tree true turn under until upper use valley very village voice walk wall
	warm watch water west white wide wind window winter wish wood word work world write yard year young`)

// prompt makes so many words, other ones for each number of each seed from the first word on, so that no cache of prompts can help. A token is taken to
// be a word: what it really was, the server's usage says.
func prompt(seed uint64, number, tokens int) string {
	r := newRand(seed ^ uint64(number)*0x9e3779b97f4a7c15)
	var b strings.Builder
	for i := range max(tokens, 1) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.String()
}

// The endpoints that can be loaded.
const (
	EndpointChat        = "chat/completions"
	EndpointCompletions = "completions"
)

// body is a request's body. extra's members are added to it, and win.
func body(endpoint string, q *Request, text string, stream bool, extra map[string]json.RawMessage) ([]byte, error) {
	fields := map[string]any{"model": q.Model, "stream": stream}
	if q.Output > 0 {
		fields["max_tokens"] = q.Output
	}
	if stream {
		fields["stream_options"] = map[string]bool{"include_usage": true}
	}
	if endpoint == EndpointCompletions {
		fields["prompt"] = text
	} else {
		fields["messages"] = []map[string]string{{"role": "user", "content": text}}
	}
	for name, value := range extra {
		fields[name] = value
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("making a request's body: %w", err)
	}
	return b, nil
}
