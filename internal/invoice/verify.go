package invoice

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// maxLine bounds one line of receipts, in bytes.
const maxLine = 1 << 20

// Verify checks receipts, one JSON object of a record a line, and an invoice against them where one is given. The error says that they cannot
// be read at all; everything else is in the report.
func Verify(receipts io.Reader, i *ledger.Invoice) (*Report, error) {
	v := verifier{invoice: i, report: &Report{Chains: []Chain{}, Notes: []string{}, Problems: []Problem{}}, ids: map[string]int{}, chains: map[string]*chain{}, costs: map[string]*costs{}}
	lines := bufio.NewScanner(receipts)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		if text := bytes.TrimSpace(lines.Bytes()); len(text) > 0 {
			v.read(n, text)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("reading receipts: a line has more than %d bytes; write one record a line", maxLine)
	} else if err != nil {
		return nil, fmt.Errorf("reading receipts: %w", err)
	}
	v.follow()
	v.weighCorrections()
	v.sum()
	v.compare()
	slices.SortStableFunc(v.report.Problems, func(a, b Problem) int { return a.Line - b.Line })
	return v.report, nil
}

// verifier is one Verify.
type verifier struct {
	report  *Report
	invoice *ledger.Invoice // nil = there is none
	records []received
	ids     map[string]int    // line of each ID
	chains  map[string]*chain // by ID
	costs   map[string]*costs // by the ID of a usage record
}

// received is one record as it was read.
type received struct {
	line   int
	hash   ledger.Hash // that it says, or what it must be where it says none; zero for a record without a chain
	record ledger.Record
}

func (v *verifier) problem(line int, format string, args ...any) {
	v.report.Problems = append(v.report.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

func (v *verifier) note(format string, args ...any) {
	v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, args...))
}

// read takes one record and checks what it says of itself.
func (v *verifier) read(line int, text []byte) {
	var r ledger.Record
	var claims struct {
		Hash ledger.Hash `json:"hash"`
	}
	if err := errors.Join(json.Unmarshal(text, &r), json.Unmarshal(text, &claims)); err != nil {
		v.problem(line, "is no usage record: %v", err)
		return
	}
	v.report.Records++
	if r.ID == "" {
		v.problem(line, "is no usage record: it has no id")
		return
	}
	if before := v.ids[r.ID]; before > 0 {
		v.problem(line, "record %s is in line %d already", r.ID, before)
		return
	}
	v.ids[r.ID] = line
	of := received{line: line, record: r}
	if r.Chain != "" {
		hash, err := ledger.HashOfJSON(text)
		switch {
		case err != nil:
			v.problem(line, "record %s has no hash that could be computed: %v", r.ID, err)
		case claims.Hash != hash:
			v.problem(line, "record %s was changed: its hash is %s, and it says %s", r.ID, hash, orNone(claims.Hash))
		}
		// A change is told once: the records behind it follow what it says.
		if of.hash = claims.Hash; of.hash == (ledger.Hash{}) {
			of.hash = hash
		}
	}
	v.checkCost(line, &r)
	v.records = append(v.records, of)
}
