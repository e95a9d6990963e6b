package router_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// What steers an engine never reaches one, wherever it stands; the error's param names it.
func TestFields_WhatSteersTheEngineIsRefused(t *testing.T) {
	t.Parallel()
	part := func(p string) string {
		return `{"model":"` + chatModel + `","messages":[{"role":"user","content":[{"type":"text","text":"a"},` + p + `]}]}`
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.engines.swap(func(http.ResponseWriter, *http.Request) { t.Error("an engine was asked") })
		for _, tt := range []struct{ body, param string }{
			{part(`{"type":"image_url","image_url":{"url":"data:x"},"uuid":"theirs"}`), "messages[0].content[1].uuid"},
			{part(`{"type":"image_pil","image_pil":"AAAA"}`), "messages[0].content[1].image_pil"},
			{chat(chatModel, `,"prompt_embeds":"AAAA"`), "prompt_embeds"},
			{chat(chatModel, `,"nvext":{"backend_instance_id":1}`), "nvext"},
			{chat(chatModel, `,"tools":[{"type":"mcp","server_url":"http://10.0.0.1"}]`), "tools[0].server_url"},
			{chat(chatModel, `,"input_ids":[1,2,3]`), "input_ids"},
			{chat(chatModel, `,"guided_json":{}`), "guided_json"}, // another engine's
		} {
			a := w.do(call{body: tt.body})
			w.wantCode(a, 400, "invalid_request")
			var e struct{ Error struct{ Param string } }
			if json.Unmarshal([]byte(a.text), &e); e.Error.Param != tt.param {
				t.Errorf("%s: got param %q, want %q", tt.body, e.Error.Param, tt.param)
			}
		}
	})
}

func TestFields_InertOnesAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var mu sync.Mutex
		var got string
		w.engines.swap(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			mu.Lock()
			got = string(b)
			mu.Unlock()
			answerChat(rw, r)
		})
		a := w.do(call{body: chat(chatModel, `,"store":true,"metadata":{"a":"b"},"unheard_of":null,"n":1`)})
		mu.Lock()
		defer mu.Unlock()
		if a.StatusCode != 200 || strings.Contains(got, "store") || strings.Contains(got, "metadata") || strings.Contains(got, "unheard_of") || !strings.Contains(got, `"n":1`) {
			t.Errorf("got %d; the engine got %s, want 200 and only n", a.StatusCode, got)
		}
	})
}
