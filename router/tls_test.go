package router_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/certs/certstest"
)

// spoken is the TLS that worlds made from now on speak with their callers; nil = none.
var spoken *struct{ listener, caller *tls.Config }

// speakTLS has worlds speak TLS until the test ends.
func speakTLS(t *testing.T) {
	ca := certstest.New(t)
	spoken = &struct{ listener, caller *tls.Config }{certstest.Listener(t, ca.Pair()), ca.Trust()}
	now := time.Now()
	spoken.caller.Time = func() time.Time { return now } // certificates do not hold yet where virtual time begins
	t.Cleanup(func() { spoken = nil })
}

// reach connects to the router.
func (w *world) reach(ctx context.Context) (net.Conn, error) {
	c, err := w.net.dial(ctx, "tcp", w.net.addr("router"))
	if err != nil || spoken == nil {
		return c, err
	}
	over := tls.Client(c, spoken.caller)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return over, nil
}

// socket is the one below, whether or not TLS is spoken over it.
func (c *raw) socket() *net.TCPConn {
	if over, ok := c.Conn.(*tls.Conn); ok {
		return over.NetConn().(*net.TCPConn)
	}
	return c.Conn.(*net.TCPConn)
}

// What holds between a socket and the handlers holds over TLS.
func TestTLS_ChangesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two dozen tests once more; not in short runs")
	}
	speakTLS(t)
	for name, test := range map[string]func(*testing.T){
		"requests are framed in one way":                TestFraming_OfRequests,
		"a head is bounded":                             TestHead_Flood,
		"a half-sent head ends":                         TestHead_HalfSentIs408,
		"HTTP/1.0":                                      TestVersion_StreamOnHTTP10Is505,
		"Expect":                                        TestExpect_IsAnsweredBeforeTheBody,
		"a refusal is read behind a large body":         TestRefusal_IsReadBehindALargeBody,
		"a body is bounded":                             TestBody_ChunkedIsCounted,
		"an upload has a least rate":                    TestUpload_SteadyPassesAndStalledIs408,
		"a slow reader holds the engine back":           TestSlowReader_HoldsTheEngineBackAndIsBounded,
		"a slow reader is cut":                          TestSlowReader_IsCutAfterAStalledWrite,
		"departures while queued":                       TestDeparture_WhileQueued,
		"departures from the engine":                    TestDeparture_FromTheEngine,
		"departures before a request is handled":        TestDeparture_BeforeTheRequestIsHandled,
		"departures in memory":                          TestDeparture_InMemory,
		"pipelining":                                    TestPipelining_RequestsAreAnsweredInOrder,
		"hoarded uploads":                               TestHoard_AnnouncedBodiesCostNobodyElse,
		"hoarded answers":                               TestHoard_AnswersThatNobodyReads,
		"an ended upload is told why":                   TestHoard_AnEndedUploadIsToldWhy,
		"keep-alives":                                   TestKeepalive_CommentsUntilTheFirstToken,
		"whole streams":                                 TestChat_StreamHasWholeEventsAndAReceipt,
		"streams complete at a shutdown":                TestShutdown_LiveStreamsComplete,
		"what outlasts the drain is cancelled":          TestShutdown_WhatOutlastsTheDrainIsCancelled,
		"a shutdown does not wait for idle connections": TestShutdown_DoesNotWaitForIdleConnections,
	} {
		t.Run(name, test)
	}
}

func TestTLS_WhoSpeaksPlainHTTPIsToldSo(t *testing.T) {
	speakTLS(t)
	w := newWorld(t, setup{tcp: true})
	for _, sent := range []string{"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"} {
		c, err := w.net.dial(t.Context(), "tcp", w.net.addr("router"))
		w.must(err)
		_, err = io.WriteString(c, sent)
		w.must(err)
		got, err := io.ReadAll(c)
		if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), "This port speaks TLS") || err != nil {
			t.Errorf("got %q, %v, want 400 and what to do", got, err)
		}
		_ = c.Close()
	}
}

// Who begins no handshake, or does not end it, holds a connection no longer than who sends no head.
func TestTLS_AHandshakeThatDoesNotEndIsCut(t *testing.T) {
	for name, sent := range map[string]string{"silence": "", "half a record": "\x16\x03\x01\x02\x00\x01\x00", "no TLS": "SSH-2.0-x\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				speakTLS(t)
				w := newWorld(t, setup{})
				c, err := w.net.dial(t.Context(), "tcp", w.net.addr("router"))
				w.must(err)
				defer c.Close()
				_, err = io.WriteString(c, sent)
				w.must(err)
				began := time.Now()
				_, _ = io.Copy(io.Discard, c)
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("cut after %v, want within the time for a head", took)
				}
				if a := w.do(call{body: chat(chatModel)}); a.StatusCode != http.StatusOK {
					t.Errorf("got %d, want others served", a.StatusCode)
				}
			})
		})
	}
}
