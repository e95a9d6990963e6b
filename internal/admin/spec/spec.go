// Package spec holds requests and answers of the two APIs against an OpenAPI document, with libopenapi-validator. It is for tests: it promises that
// what it accepts has exactly the statuses, the content types, the headers and the fields that the document names, and it never serves anyone.
package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Spec is one OpenAPI document. It is safe for concurrent use. Load it outside of a bubble of testing/synctest: the validator keeps what it has made.
type Spec struct {
	mu         sync.Mutex // guards document, where it checks requests and responses
	document   document
	operations []operation // the more of a path is literal, the earlier
}

// document is what libopenapi has read. It is an interface so that no type of libopenapi is a part of Spec: compiling a package that uses Spec would
// take all of them along, generic ones included, which costs more than ten seconds of a processor.
type document interface {
	operations() []Operation
	queryOf(Operation) []string
	checkRequest(*http.Request) error
	checkResponse(*http.Request, *http.Response) error
	checkError(schema string, body []byte) error
}

// Operation is a method and a path of the document, with {names} in it.
type Operation struct {
	Method, Path string
}

func (o Operation) String() string { return o.Method + " " + o.Path }

type operation struct {
	Operation
	matches *regexp.Regexp // of an escaped path, whose parameters may hold slashes
}

var parameter = regexp.MustCompile(`\{\w+\}`)

// Load reads a document, which must be valid OpenAPI 3.1. Objects that do not say whether they have further properties have none: a field that an
// answer has and the document lacks is an error then.
func Load(written []byte) (*Spec, error) {
	exact, err := closed(written)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	doc, err := read(exact)
	if err != nil {
		return nil, err
	}
	s := &Spec{document: doc}
	for _, o := range doc.operations() {
		matches := regexp.MustCompile("^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(o.Path), `(.+)`) + "$")
		s.operations = append(s.operations, operation{o, matches})
	}
	literal := func(path string) int { return len(parameter.ReplaceAllString(path, "")) }
	slices.SortStableFunc(s.operations, func(a, b operation) int { return literal(b.Path) - literal(a.Path) })
	return s, nil
}

// closed makes every object schema exact.
func closed(document []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	closeObjects(doc["components"])
	return json.Marshal(doc)
}

func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			closeObjects(e)
		}
	case map[string]any:
		_, isObject := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; isObject && !said {
			v["additionalProperties"] = false
		}
		for _, e := range v {
			closeObjects(e)
		}
	}
}

// Operations lists the operations, sorted.
func (s *Spec) Operations() []Operation {
	var all []Operation
	for _, o := range s.operations {
		all = append(all, o.Operation)
	}
	slices.SortFunc(all, func(a, b Operation) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// QueryOf lists the parameters that the query of an operation may have, sorted.
func (s *Spec) QueryOf(o Operation) []string { return s.document.queryOf(o) }

// Check holds an answer against the operation of its request, and the request too where the answer says that it was taken (2xx). A request that
// belongs to no operation may only be answered 401, 403, 404 or 405, with an Error.
func (s *Spec) Check(request *http.Request, sent []byte, response *http.Response, body []byte) error {
	asked, ok := s.resolve(request)
	if !ok {
		if !slices.Contains([]int{401, 403, 404, 405}, response.StatusCode) {
			return fmt.Errorf("%s %s is not in the document, and was answered %d", request.Method, request.URL.Path, response.StatusCode)
		}
		return s.checkError(request, body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if response.StatusCode/100 == 2 {
		if asked.Header.Get("Content-Type") == "" { // which no handler asks for
			asked.Header = asked.Header.Clone()
			asked.Header.Set("Content-Type", "application/json")
		}
		asked.Body = io.NopCloser(bytes.NewReader(sent))
		if err := s.document.checkRequest(asked); err != nil {
			return fmt.Errorf("%s %s was answered %d, and its request is not as the document has it: %w", asked.Method, asked.URL.Path, response.StatusCode, err)
		}
	}
	for _, part := range parts(response, body) {
		answer := *response
		answer.Body = io.NopCloser(bytes.NewReader(part))
		if err := s.document.checkResponse(asked, &answer); err != nil {
			return fmt.Errorf("%s %s was answered %d %.1000s: %w", asked.Method, asked.URL.Path, response.StatusCode, part, err)
		}
	}
	return nil
}

// resolve gives the request as the document has it, with the slashes escaped that a parameter holds.
func (s *Spec) resolve(request *http.Request) (*http.Request, bool) {
	path := request.URL.EscapedPath()
	for _, o := range s.operations {
		values := o.matches.FindStringSubmatch(path)
		if values == nil || o.Method != request.Method {
			continue
		}
		values = values[1:]
		escaped := parameter.ReplaceAllStringFunc(o.Path, func(string) string {
			value := strings.ReplaceAll(values[0], "/", "%2F")
			values = values[1:]
			return value
		})
		asked := *request
		target := *request.URL
		target.Path, _ = url.PathUnescape(escaped)
		target.RawPath = escaped
		asked.URL = &target
		return &asked, true
	}
	return nil, false
}

// parts are what of a body has a schema: each event of a stream that has JSON, each line of lines, else all of it.
func parts(response *http.Response, body []byte) (list [][]byte) {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch media {
	case "text/event-stream":
		for line := range bytes.Lines(body) {
			if data, found := bytes.CutPrefix(bytes.TrimRight(line, "\r\n"), []byte("data: ")); found && json.Valid(data) {
				list = append(list, data)
			}
		}
	case "application/jsonl":
		list = slices.Collect(bytes.Lines(body))
	default:
		list = [][]byte{body}
	}
	return list
}

// checkError holds an error of a path that leads nowhere against its schema: Anthropic's at and below its path.
func (s *Spec) checkError(request *http.Request, body []byte) error {
	name := "Error"
	if strings.Contains(request.URL.Path, "/messages") {
		name = "AnthropicError"
	}
	return s.document.checkError(name, body)
}
