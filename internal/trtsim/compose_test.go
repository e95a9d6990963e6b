package trtsim_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/trtsim"
)

const twoTools = `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":3}},"required":["city","days"],"additionalProperties":false}}},` +
	`{"type":"function","function":{"name":"done"}}]`

const citySchema = `{"type":"object","properties":{"city":{"type":"string"},"size":{"enum":["small","\"large\""]}},"required":["city","size"],"additionalProperties":false}`

// called is what an answer says, whole or streamed.
type called struct {
	content, id, tool, arguments, finish string
	tokens                               int
}

func (c called) what() string {
	if c.tool != "" {
		return c.tool
	}
	return "text"
}

func readWhole(t *testing.T, w *httptest.ResponseRecorder) (c called) {
	t.Helper()
	var body struct {
		Choices []struct {
			Message struct {
				Content string
				Calls   []struct {
					ID, Type string
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
			Finish string `json:"finish_reason"`
		}
		Usage struct {
			Completion int `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 200 || len(body.Choices) != 1 {
		t.Fatalf("got %d %s, want an answer", w.Code, w.Body)
	}
	m := body.Choices[0].Message
	c = called{content: m.Content, finish: body.Choices[0].Finish, tokens: body.Usage.Completion}
	if len(m.Calls) > 0 {
		c.id, c.tool, c.arguments = m.Calls[0].ID, m.Calls[0].Function.Name, m.Calls[0].Function.Arguments
	}
	return c
}

func readStream(t *testing.T, w *httptest.ResponseRecorder) (c called) {
	t.Helper()
	for _, line := range strings.Split(w.Body.String(), "\n\n") {
		data := strings.TrimPrefix(line, "data: ")
		if data == "" || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content string
					Calls   []struct {
						Index    int
						ID, Type string
						Function struct{ Name, Arguments string }
					} `json:"tool_calls"`
				}
				Finish string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || len(chunk.Choices) != 1 {
			t.Fatalf("got chunk %s, want one choice", data)
		}
		d := chunk.Choices[0].Delta
		c.content += d.Content
		c.finish += chunk.Choices[0].Finish
		c.tokens++
		for _, call := range d.Calls {
			c.id, c.tool, c.arguments = c.id+call.ID, c.tool+call.Function.Name, c.arguments+call.Function.Arguments
		}
	}
	c.tokens-- // the role chunk
	return c
}

// ask sends a chat twice, whole and streamed, and wants the same of both.
func ask(t *testing.T, e *trtsim.Engine, members string) called {
	t.Helper()
	whole := readWhole(t, chat(e, `{"model":"m",`+members+`}`))
	streamed := readStream(t, chat(e, `{"model":"m","stream":true,`+members+`}`))
	if whole.id == "" != (whole.tool == "") || streamed.id == whole.id && whole.id != "" {
		t.Errorf("%s: got call ids %q and %q, want one for each call", members, whole.id, streamed.id)
	}
	whole.id, streamed.id = "", ""
	if whole != streamed {
		t.Errorf("%s:\ngot  %+v streamed\nwant %+v as whole", members, streamed, whole)
	}
	return whole
}

func TestTools_AreCalledInTurnSinceTheUsersWords(t *testing.T) {
	const user = `{"role":"user","content":"x"}`
	did := func(name string) string {
		return `,{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"` + name + `","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"ok"}`
	}
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for _, row := range []struct{ messages, choice, want string }{
			{user, ``, "weather"},
			{user, `,"tool_choice":"auto"`, "weather"},
			{user, `,"tool_choice":"none"`, "text"},
			{user, `,"tool_choice":{"type":"function","function":{"name":"done"}}`, "done"},
			{user + did("weather"), ``, "text"},
			{user + did("weather") + `,` + user, ``, "weather"},
			{user + did("weather"), `,"tool_choice":"required"`, "done"},
			{user + did("weather") + did("done"), `,"tool_choice":"required"`, "done"},
		} {
			got := ask(t, e, `"messages":[`+row.messages+`],`+twoTools+row.choice)
			if got.what() != row.want {
				t.Errorf("%s %s: got %s, want %s", row.messages, row.choice, got.what(), row.want)
			}
			if finish := map[bool]string{true: "stop", false: "tool_calls"}[row.want == "text"]; got.finish != finish {
				t.Errorf("%s %s: got finish reason %s, want %s", row.messages, row.choice, got.finish, finish)
			}
		}
	})
}

func TestTools_ArgumentsFollowTheirSchema(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		got := ask(t, e, `"messages":[{"role":"user","content":"x"}],`+twoTools)
		var arguments struct {
			City string
			Days int
		}
		if err := json.Unmarshal([]byte(got.arguments), &arguments); err != nil || arguments.City == "" || arguments.Days < 1 || arguments.Days > 3 {
			t.Errorf("got arguments %s, want a city and 1 to 3 days", got.arguments)
		}
		if got.content != "" {
			t.Errorf("got content %q beside a call, want none", got.content)
		}
		if cut := ask(t, e, `"max_tokens":3,"messages":[{"role":"user","content":"x"}],`+twoTools); cut.finish != "length" || cut.tokens != 3 {
			t.Errorf("got %+v, want three tokens of the arguments and finish reason length", cut)
		}
	})
}

func TestResponseFormat_IsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for _, format := range []string{
			`{"type":"json_schema","json_schema":{"name":"city","strict":true,"schema":` + citySchema + `}}`,
			`{"type":"json","schema":` + citySchema + `}`,
		} {
			got := ask(t, e, `"messages":[{"role":"user","content":"x"}],"response_format":`+format)
			var city struct{ City, Size string }
			if err := json.Unmarshal([]byte(got.content), &city); err != nil || city.City == "" || city.Size != "small" && city.Size != `"large"` {
				t.Errorf("%s: got content %s, want what the schema says", format, got.content)
			}
		}
		got := ask(t, e, `"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}`)
		if want := `{"answer":"` + trtsim.Disclaimer + `"}`; got.content != want || got.finish != "stop" {
			t.Errorf("got %+v, want %s", got, want)
		}
		w := complete(e, `{"model":"m","prompt":"x","response_format":{"type":"json","schema":{"const":[1]}}}`)
		if got := parse(t, w).Choices[0].Text; got != "[1]" {
			t.Errorf("got completion %q, want [1]", got)
		}
	})
}

func TestToolsAndFormatsThatCannotBeFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, trtsim.Config{})
		for _, row := range []struct{ members, says string }{
			{`"tool_choice":"required"`, "needs tools"},
			{`"tool_choice":"sometimes"`, "literal_error"},
			{`"tool_choice":{"type":"function","function":{"name":"none such"}},` + twoTools, "not among the tools"},
			{`"tools":{}`, "list_type"},
			{`"tools":[{"type":"web_search"}]`, "function.name"},
			{`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"thing"}}}]`, "tools: reading the schema"},
			{`"response_format":"json"`, "model_attributes_type"},
			{`"response_format":{"type":"json_object","value":{}}`, "extra_forbidden"},
			{`"response_format":{"type":"ebnf"}`, "literal_error"},
			{`"response_format":{"type":"json_schema"}`, "json_schema.schema"},
			{`"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"string","not":{}}}}`, "no value was found"},
		} {
			wantContains(t, chat(e, `{"model":"m","messages":[{"role":"user","content":"x"}],`+row.members+`}`), 400, row.says)
		}
	})
}
