package openai_test

import "testing"

// Frameworks send citations back as they came.
func TestRefused_URLOfATextIsNoMedia(t *testing.T) {
	body := func(parts string) string {
		return `{"model":"m","messages":[{"role":"user","content":[` + parts + `]}]}`
	}
	for parts, want := range map[string]string{
		`{"type":"text","text":"a","url":"https://a.b"}`:                                                      "",
		`{"url":"https://a.b","text":"a","type":"text"}`:                                                      "",
		`{"type":"text","text":"a","annotations":[{"type":"url_citation","url":"https://a.b"}]}`:              "",
		`{"type":"text","text":"a","url":"https://a.b"},{"type":"image_url","url":"https://a.b"}`:             "messages[0].content[1].url",
		`{"type":"image_url","url":"https://a.b"},{"type":"text","text":"a","url":"https://a.b"}`:             "messages[0].content[0].url",
		`{"type":"text","type":"image_url","url":"https://a.b"}`:                                              "messages[0].content[0].url",
		`{"type":"image_url","type":"text","url":"https://a.b"}`:                                              "messages[0].content[0].url",
		`{"text":"a","url":"https://a.b"}`:                                                                    "messages[0].content[0].url",
		`{"type":"text","text":"a","url":{"url":"https://a.b"}}`:                                              "messages[0].content[0].url.url",
		`{"type":"text","text":"a","image_url":"https://a.b"}`:                                                "messages[0].content[0].image_url",
		`{"type":"text","text":"a","url":"https://a.b","content":[{"type":"image_url","url":"https://a.b"}]}`: "messages[0].content[0].content[0].url",
	} {
		if got := refused(t, "chat", body(parts), "vllm"); got.Path != want {
			t.Errorf("%s: got %q, want %q", parts, got.Path, want)
		}
	}
}
