//go:build linux

package chaos_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// bill is what an answer says of its cost.
type bill struct {
	Billed int64 // microseconds
	Cost   fleet.NanoUSD
}

// answer is what a client has got, as far as it has come.
type answer struct {
	status int
	text   string // of the model
	whole  bool   // it has come to its end
	code   string // of the error; "" = none
	bill   bill   // of a whole one
	start  string // hot, parked or cold
	err    error  // of the connection, or of what is no answer
}

// chunk of a stream, or a whole body: both have these fields.
type body struct {
	Choices []struct {
		Message, Delta struct{ Content string }
	}
	Pilotlight *struct {
		Billed int64  `json:"billed_us"`
		Cost   string `json:"cost_usd"`
	}
	Error *struct{ Code, Message string }
}

// readAnswer reads an answer to its end. started is called when the model's first text has come.
func readAnswer(r *http.Response, started func()) (a answer) {
	a.status, a.start = r.StatusCode, r.Header.Get("X-Pilotlight-Start")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
		a.readStream(r.Body, started)
		return a
	}
	text, err := io.ReadAll(r.Body)
	var b body
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	switch {
	case err != nil:
		a.err = fmt.Errorf("reading %q: %w", text, err)
	case b.Error != nil:
		a.code = b.Error.Code
	case r.StatusCode == http.StatusOK && len(b.Choices) == 1:
		started()
		a.whole, a.text = true, b.Choices[0].Message.Content
		a.bill, a.err = billOf(r.Header.Get("X-Pilotlight-Billed-Ms"), r.Header.Get("X-Pilotlight-Cost-Usd"))
	default:
		a.err = fmt.Errorf("status %d with %q is no answer", r.StatusCode, text)
	}
	return a
}

// billOf reads the headers of a whole body.
func billOf(ms, usd string) (said bill, err error) {
	whole, part, _ := strings.Cut(ms, ".")
	if said.Billed, err = strconv.ParseInt(whole+(part + "000")[:3], 10, 64); err != nil {
		return said, fmt.Errorf("reading X-Pilotlight-Billed-Ms: %w", err)
	}
	said.Cost, err = fleet.ParseUSD(usd)
	return said, err
}

// readStream reads events until the last. Behind [DONE] and behind an error nothing may come.
func (a *answer) readStream(from io.Reader, started func()) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		data, is := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !is: // a comment, or the end of an event
		case a.whole || a.code != "":
			a.err = fmt.Errorf("%q comes behind the end", data)
			return
		case data == "[DONE]":
			a.whole = true
		default:
			if a.err = a.take(data, started); a.err != nil {
				return
			}
		}
	}
	if a.code == "" && !a.whole {
		if a.err = lines.Err(); a.err == nil {
			a.err = fmt.Errorf("a stream ends behind %q, with neither [DONE] nor an error", a.text)
		}
	}
}

// take takes one event.
func (a *answer) take(data string, started func()) error {
	var b body
	if err := json.Unmarshal([]byte(data), &b); err != nil {
		return fmt.Errorf("reading the event %q: %w", data, err)
	}
	if b.Error != nil {
		a.code = b.Error.Code
		return nil
	}
	if len(b.Choices) == 1 && b.Choices[0].Delta.Content != "" {
		started()
		a.text += b.Choices[0].Delta.Content
	}
	if b.Pilotlight == nil {
		return nil
	}
	a.bill.Billed = b.Pilotlight.Billed
	var err error
	a.bill.Cost, err = fleet.ParseUSD(b.Pilotlight.Cost)
	return err
}

// fair are the errors that a broken installation may answer with.
var fair = []string{
	openai.CodeEngineError, openai.CodeUpstreamTimeout, openai.CodeNoCapacity, openai.CodeActivationFailed, openai.CodeActivationTimeout,
	openai.CodeOverloaded, openai.CodeShuttingDown,
}
