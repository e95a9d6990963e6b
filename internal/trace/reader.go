package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// Request is one arrival.
type Request struct {
	At     time.Duration // from the start of the trace
	Model  int           // index in the profiles
	Input  int           // tokens
	Output int           // tokens
	Took   time.Duration // what serving it took, where that was measured; 0 = as its tokens and the model's profile give
}

// Reader gives the requests of a trace in order of arrival. It is not safe for concurrent use.
type Reader struct {
	path    string
	file    *os.File
	zipped  *gzip.Reader
	lines   *bufio.Reader
	line    int
	last    time.Duration
	byModel map[string]int // model -> index in the profiles
}

const header = "t_ms,model,input_tokens,output_tokens"

// Open opens a trace whose models are these. Close it after use.
func Open(path string, profiles []Profile) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the trace: %w", err)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading %s: %w; a trace is a gzipped CSV", path, err)
	}
	r := &Reader{path: path, file: f, zipped: z, lines: bufio.NewReaderSize(z, 64<<10), byModel: make(map[string]int)}
	for i := range profiles {
		r.byModel[profiles[i].Model] = i
	}
	first, err := r.next()
	if err != nil || string(first) != header {
		f.Close()
		return nil, fmt.Errorf("%s:1: the header is %q, not %q", path, first, header)
	}
	return r, nil
}

// Read fills in the next request; io.EOF = there is none.
func (r *Reader) Read(q *Request) error {
	line, err := r.next()
	if err != nil {
		return err
	}
	if err := r.parse(line, q); err != nil {
		return fmt.Errorf("%s:%d: %w", r.path, r.line, err)
	}
	if q.At < r.last {
		return fmt.Errorf("%s:%d: t_ms %d comes after %d; lines must be in order of arrival", r.path, r.line, q.At.Milliseconds(), r.last.Milliseconds())
	}
	r.last = q.At
	return nil
}

// Close frees the file.
func (r *Reader) Close() error { return r.file.Close() }

// next gives the next line without its end. It is valid until the next call.
func (r *Reader) next() ([]byte, error) {
	line, err := r.lines.ReadSlice('\n')
	if len(line) == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	r.line++
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:%d: reading: %w", r.path, r.line, err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (r *Reader) parse(line []byte, q *Request) error {
	var fields [4][]byte
	rest := line
	for i := range fields {
		field, after, more := bytes.Cut(rest, []byte{','})
		if more != (i < 3) {
			return fmt.Errorf("%q has not four fields; write %s", line, header)
		}
		fields[i], rest = field, after
	}
	model, known := r.byModel[string(fields[1])]
	if !known {
		return fmt.Errorf("model %q is not among the trace's models; add it there", fields[1])
	}
	ms, in, out := number(fields[0]), number(fields[2]), number(fields[3])
	if ms < 0 || in < 0 || out < 0 {
		return fmt.Errorf("%q has a field that is no whole number; write %s", line, header)
	}
	*q = Request{At: time.Duration(ms) * time.Millisecond, Model: model, Input: in, Output: out}
	return nil
}

// number reads digits; -1 = something else, or more than a trace can mean.
func number(digits []byte) int {
	n := 0
	for _, c := range digits {
		if c < '0' || c > '9' || n > math.MaxInt32*100 {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	if len(digits) == 0 {
		return -1
	}
	return n
}
