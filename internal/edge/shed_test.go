package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"github.com/pilotlight-io/pilotlight/internal/edge"
)

// shedding serves a connection whose requests are answered with their body, and tells of each whether the reader's buffer was given back before.
func shedding(t *testing.T) (caller net.Conn, shed <-chan bool) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	all := edge.New(edge.Config{Listener: "public", Metrics: metrics.NewSet()})
	told := make(chan bool, 10)
	s := &fasthttp.Server{StreamRequestBody: true, ReadBufferSize: edge.HeadLimit, Handler: edge.Guard{
		Refuse: func(ctx *fasthttp.RequestCtx, why *edge.Refusal) { ctx.Error(why.Error(), http.StatusBadRequest) },
	}.Handler(func(ctx *fasthttp.RequestCtx) {
		var body edge.Body
		defer body.Free()
		if why := (edge.Upload{Limit: 1 << 20}).Read(ctx, &body); why != nil {
			ctx.Error(why.Error(), http.StatusBadRequest)
			return
		}
		told <- edge.Of(ctx).Shed()
		ctx.Response.Header.Set("X-Said", string(ctx.Request.Header.Peek("X-Say")))
		ctx.SetBody(body.B)
	})}
	all.Attach(s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(all.Listen(t.Context(), ln)) }()
	caller, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		caller.Close()
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		<-served
		all.Stop()
	})
	return caller, told
}

func posted(say, body string) string {
	return fmt.Sprintf("POST /a/path HTTP/1.1\r\nHost: here\r\nX-Say: %s\r\nContent-Length: %d\r\n\r\n%s", say, len(body), body)
}

func TestShed_OnlyWhatNobodyNeeds(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is given back on Linux")
	}
	long := strings.Repeat("0123456789abcdef", 5<<10) // more than the buffer
	caller, shed := shedding(t)
	answers := bufio.NewReader(caller)
	for _, c := range []struct {
		name   string
		pieces []string
		bodies []string
		shed   []bool
	}{
		{"one", []string{posted("a", "first")}, []string{"first"}, []bool{true}},
		{"the next one", []string{posted("b", "second")}, []string{"second"}, []bool{true}},
		{"a long one", []string{posted("c", long)}, []string{long}, []bool{true}},
		{"two at once", []string{posted("d", "third") + posted("e", "fourth")}, []string{"third", "fourth"}, []bool{false, false}},
		{"one behind them", []string{posted("f", "fifth")}, []string{"fifth"}, []bool{true}},
		{"no length", []string{"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsixth\r\n0\r\n\r\n"}, []string{"sixth"}, []bool{false}},
		{"an empty line before it", []string{"\r\n" + posted("g", "seventh")}, []string{"seventh"}, []bool{false}},
	} {
		for _, piece := range c.pieces {
			if _, err := io.WriteString(caller, piece); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range c.bodies {
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := io.ReadAll(answer.Body)
			if err != nil || string(got) != want {
				t.Fatalf("%s: answer %d has %d bytes, %v; want %d", c.name, i, len(got), err, len(want))
			}
			if got := <-shed; got != c.shed[i] {
				t.Errorf("%s: request %d: got %v, want %v", c.name, i, got, c.shed[i])
			}
		}
	}
}
