package dialect_test

import (
	"strings"
	"testing"
)

// BenchmarkChunk is what one event of a stream costs.
func BenchmarkChunk(b *testing.B) {
	chunk := []byte(`{"id":"chatcmpl-17","object":"chat.completion.chunk","created":1700000000,"model":"m/x","choices":[{"index":0,"delta":{"content":" word","reasoning_content":""}}]}`)
	for name, body := range map[string]string{"messages": messagesWith(`{"type":"text","text":"x"}`, `"stream":true`), "responses": responsesWith(`"stream":true`)} {
		b.Run(name, func(b *testing.B) {
			req, _, err := translate(name, []byte(body))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			s, out := req.Stream(&head), []byte(nil)
			for n := 0; b.Loop(); n++ {
				if n%1000 == 0 {
					s = req.Stream(&head)
				}
				if out, err = s.AppendChunk(out[:0], chunk); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTranslate is what a request costs: of a short text, and with an image of 10 MB.
func BenchmarkTranslate(b *testing.B) {
	image := strings.Repeat("QUJD", 10<<20/4)
	for name, body := range map[string]string{
		"text":  messagesWith(`{"type":"text","text":"` + strings.Repeat("word ", 100) + `"}`),
		"image": messagesWith(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + image + `"}}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := translate("messages", []byte(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
