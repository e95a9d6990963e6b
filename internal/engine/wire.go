package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// wire is one connection to one engine, dialled when it is needed. net/http's client would keep goroutines for what is one
// exchange after the other.
type wire struct {
	addr   string
	most   int64 // bytes of an answer that are looked at; 0 = answerMost
	conn   net.Conn
	reader *bufio.Reader
}

const answerMost int64 = 1 << 20

var errSelfConnect = errors.New("connected to itself")

// do sends one request and reads the whole answer.
func (w *wire) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, "http://"+w.addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return w.send(ctx, req)
}

// send is do for a request that is made already.
func (w *wire) send(ctx context.Context, req *http.Request) (int, []byte, error) {
	if err := w.dial(ctx); err != nil {
		return 0, nil, err
	}
	conn := w.conn
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	status, answer, again, err := w.exchange(req)
	if !stop() || err != nil || !again {
		w.close()
	}
	if err != nil {
		return 0, nil, fmt.Errorf("asking %s: %w", req.URL.Path, err)
	}
	return status, answer, nil
}

func (w *wire) dial(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return err
	}
	// Dialling a port of this machine on which nobody listens can meet its own outgoing half, once in some thousand tries.
	if conn.LocalAddr().String() == conn.RemoteAddr().String() {
		conn.Close()
		return errSelfConnect
	}
	w.conn, w.reader = conn, bufio.NewReader(conn)
	return nil
}

func (w *wire) exchange(req *http.Request) (status int, answer []byte, again bool, err error) {
	if err := req.Write(w.conn); err != nil {
		return 0, nil, false, err
	}
	resp, err := http.ReadResponse(w.reader, req)
	if err != nil {
		return 0, nil, false, err
	}
	defer resp.Body.Close()
	most := cmp.Or(w.most, answerMost)
	answer, err = io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return 0, nil, false, err
	}
	return resp.StatusCode, answer, !resp.Close && int64(len(answer)) <= most, nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn, w.reader = nil, nil
	}
}
