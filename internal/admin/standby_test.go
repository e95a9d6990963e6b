package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/VictoriaMetrics/metrics"

	"github.com/pilotlight-io/pilotlight/internal/admin"
)

func TestStandby_SaysWhatItWaitsForAndGivesItsListenerBack(t *testing.T) {
	set := metrics.NewSet()
	set.NewGauge("pilotlight_leader", func() float64 { return 0 })
	standby, err := admin.NewStandby(admin.StandbyConfig{
		Admins: admins(t), Reason: func() error { return errors.New("another server leads the cluster") }, Metrics: []*metrics.Set{set},
	})
	check(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	tcp := ln.(*net.TCPListener)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { check(t, standby.Serve(ctx, admin.Lend(tcp))) })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(method, path, token string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+ln.Addr().String()+path, nil)
		check(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		check(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		check(t, err)
		return response.StatusCode, string(text)
	}
	for _, row := range []struct {
		method, path, token string
		status              int
		has                 string
	}{
		{"GET", "/healthz", "", 200, `"ok"`},
		{"GET", "/readyz", "", 503, "not ready: another server leads the cluster"},
		{"GET", "/metrics", adminToken, 200, "pilotlight_leader 0"},
		{"GET", "/metrics", "", 401, "invalid_api_key"},
		{"GET", "/api/models", "", 401, "invalid_api_key"},
		{"GET", "/api/models", adminToken, 503, "waits to lead: another server leads the cluster"},
		{"POST", "/api/orgs", adminToken, 503, "overloaded"},
		{"GET", "/openapi.json", "", 200, "openapi"},
	} {
		if status, text := ask(row.method, row.path, row.token); status != row.status || !strings.Contains(text, row.has) {
			t.Errorf("%s %s: got %d %s, want %d and %q", row.method, row.path, status, text, row.status, row.has)
		}
	}
	cancel()
	wait.Wait()
	check(t, admin.TakeBack(tcp))
	var next sync.WaitGroup
	server := &http.Server{Handler: http.NotFoundHandler()}
	next.Go(func() { _ = server.Serve(tcp) })
	if status, _ := ask("GET", "/healthz", ""); status != 404 {
		t.Errorf("after the loan: got %d, want the next server's answer", status)
	}
	check(t, server.Close())
	next.Wait()
}
