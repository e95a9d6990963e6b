package trtsim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// embeddingSize is how many numbers a simulated vector has.
const embeddingSize = 256

// embeddingFields are all that the request model of embeddings knows.
var embeddingFields = map[string]kind{
	"model": str, "input": anything, "encoding_format": str, "dimensions": integer, "user": str, "add_special_tokens": boolean,
}

// passage is one text to embed, by its tokens.
type passage []string

// serveEmbeddings answers as `trtllm-serve embeddings` does. Equal texts get equal vectors, and texts that share words similar ones: that is all they mean,
// and the answer says so.
func (e *Engine) serveEmbeddings(w http.ResponseWriter, r *http.Request, body []byte) {
	f, passages, err := parseEmbeddings(r, body)
	if err != nil {
		writeFailure(w, err)
		return
	}
	req := &request{model: f.string("model"), n: 1, most: 1, prompts: make([]prompt, len(passages))}
	for i, p := range passages {
		req.prompts[i] = prompt{tokens: tokensPerPrompt + len(p)}
	}
	rep, err := e.accept(req)
	if err != nil {
		writeFailure(w, err)
		return
	}
	switch err = e.whole(r, rep); {
	case err == nil:
		e.writeEmbeddings(w, rep, passages, f.string("encoding_format") == "base64")
	case errors.Is(err, errGone):
	case errors.Is(err, errNull):
		writeJSON(w, http.StatusOK, []byte("null"))
	default:
		panic(http.ErrAbortHandler)
	}
}

func parseEmbeddings(r *http.Request, body []byte) (fields, []passage, error) {
	f, err := readFields(r.Header.Get("Content-Type"), body, embeddingFields, "input")
	if err != nil {
		return nil, nil, err
	}
	v := &validationError{}
	for _, name := range f.inOrder() {
		if _, known := embeddingFields[name]; !known {
			v.add("extra_forbidden", strings.Trim(quote(name), "'"), "Extra inputs are not permitted", repr(f[name]))
		}
	}
	if isNull(f["model"]) {
		v.add("missing", "model", "Field required", repr(body))
	}
	if format := f.string("encoding_format"); format != "" && format != "float" && format != "base64" {
		v.add("literal_error", "encoding_format", "Input should be \\'float\\' or \\'base64\\'", repr(f["encoding_format"]))
	}
	passages, ok := readPassages(f["input"])
	if !ok {
		v.add("string_type", "input", "Input should be a valid string", repr(f["input"]))
	}
	switch {
	case len(v.items) > 0:
		return nil, nil, v
	case len(passages) == 0:
		return nil, nil, errors.New("input must not be empty")
	}
	if n, given := f.int("dimensions"); given && n != embeddingSize {
		return nil, nil, refuse("This model does not support dimensions: it is not Matryoshka-trained")
	}
	return f, passages, nil
}

// readPassages reads a text, tokens, or a list of either.
func readPassages(raw json.RawMessage) ([]passage, bool) {
	if p, ok := readPassage(raw); ok {
		return []passage{p}, true
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	passages := make([]passage, len(list))
	for i := range list {
		p, ok := readPassage(list[i])
		if !ok {
			return nil, false
		}
		passages[i] = p
	}
	return passages, true
}

func readPassage(raw json.RawMessage) (passage, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return pieces(text), true
	}
	var ids []int
	if json.Unmarshal(raw, &ids) != nil || len(ids) == 0 {
		return nil, false
	}
	p := make(passage, len(ids))
	for i, id := range ids {
		p[i] = "#" + strconv.Itoa(id)
	}
	return p, true
}

// vector sums a direction for each token, and has the length 1.
func (p passage) vector() (v [embeddingSize]float32) {
	var sum [embeddingSize]float64
	for _, token := range slices.Concat(p, passage{""}) { // an empty text has a direction too
		state := hash(3, strings.ToLower(strings.TrimSpace(token)))
		for i := range sum {
			state = mix(state)
			sum[i] += float64(state>>11)/(1<<52) - 1
		}
	}
	length := 0.0
	for _, x := range sum {
		length += x * x
	}
	for i, x := range sum {
		v[i] = float32(x / math.Sqrt(length))
	}
	return v
}

func (e *Engine) writeEmbeddings(w http.ResponseWriter, rep *reply, passages []passage, packed bool) {
	b := append(make([]byte, 0, len(passages)*embeddingSize*12), `{"id":"embd-`...)
	for range 2 {
		for x, i := rand.Uint64(), 0; i < 16; i++ {
			b = append(b, hexDigits[x&15])
			x >>= 4
		}
	}
	b = strconv.AppendInt(append(b, `","object":"list","created":`...), time.Now().Unix(), 10)
	b = appendString(append(b, `,"model":`...), rep.model)
	b = append(b, `,"data":[`...)
	read := 0
	for i, p := range passages {
		if i > 0 {
			b = append(b, ',')
		}
		read += rep.prompts[i].tokens
		b = strconv.AppendInt(append(b, `{"index":`...), int64(i), 10)
		b = append(b, `,"object":"embedding","embedding":`...)
		b = appendVector(b, p.vector(), packed)
		b = append(b, '}')
	}
	b = strconv.AppendInt(append(b, `],"usage":{"prompt_tokens":`...), int64(read), 10)
	b = strconv.AppendInt(append(b, `,"total_tokens":`...), int64(read), 10)
	b = appendString(append(b, `},"simulated":`...), "These are simulated vectors from trtsim, not a real model's.")
	writeJSON(w, http.StatusOK, append(b, '}'))
}

// appendVector appends a list of numbers, or a string of packed little-endian float32.
func appendVector(b []byte, v [embeddingSize]float32, packed bool) []byte {
	if packed {
		raw := make([]byte, 0, 4*embeddingSize)
		for _, x := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), raw), '"')
	}
	for i, x := range v {
		b = append(b, "[,"[min(i, 1)])
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return append(b, ']')
}
