package trtsim

import "strings"

// Disclaimer opens every generated text.
const Disclaimer = "This is simulated text from trtsim, not a real model."

// words are at most 8 letters long, so that each is one token by the rule of Count.
var words = strings.Fields(`a about above across after again all along always and any around away bare bell below beside better
	between black blue bread bridge bright brown built calm careful carries clear cloud coast cold comes common copper corner
	cotton country dark deep distant door down drifts dry early earth east empty evening every falls far farm field fine fire
	first flat floor follows forest four fresh from full garden gate gentle glass gold grain grass gray green grows half harbor
	heavy high hill holds hollow house inner iron island its keeps kind lake lamp large late leaf leans light little long low
	makes many marble meadow mild morning moss moves narrow near never new night north number ocean old open orange other
	over paper past path pine plain quiet rain reaches red rests river road roof rope round salt sand sea second seed shade
	shallow shore silver simple sky sleeps slow small snow soft south spring stands steady still stone storm street strong
	summer tall thin three through tide timber town tree turns two under upper valley village waits walks wall warm water
	wave west white wide wild wind window winter with wood yard yellow young`)

// text is a source of token pieces, the same for the same key. The zero value is not useful.
type text struct {
	state uint64
	open  []string // of the disclaimer, what is still to come
	left  int      // words until the sentence ends
	begun bool     // the sentence has its first word
}

func newText(key uint64, open []string) text { return text{state: key, open: open} }

// next appends the next token's text to b.
func (t *text) next(b []byte) []byte {
	if len(t.open) > 0 {
		b = append(b, t.open[0]...)
		t.open = t.open[1:]
		return b
	}
	t.state++
	r := mix(t.state)
	if !t.begun {
		t.begun, t.left = true, 5+int(r>>32%8)
		word := words[r%uint64(len(words))]
		b = append(b, ' ', word[0]-'a'+'A')
		return append(b, word[1:]...)
	}
	if t.left == 0 {
		t.begun = false
		return append(b, '.')
	}
	t.left--
	b = append(b, ' ')
	return append(b, words[r%uint64(len(words))]...)
}
