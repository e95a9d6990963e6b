package peers

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/pilotlight-io/pilotlight/internal/certs"
)

// Ask posts nothing to a hub as somebody who knows that key, "" = none. Status 0 = there was no answer.
func Ask(ctx context.Context, at, key, version, cluster string) (status int, body string) {
	spoken := &tls.Config{InsecureSkipVerify: true}
	if key != "" {
		spoken, _ = certs.ByKey(key, api)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: spoken, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+at+followPath, nil)
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set(versionHeader, version)
	req.Header.Set(clusterHeader, cluster)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// Mute follows a hub, and reads nothing.
func Mute(at, key, cluster string) (net.Conn, error) {
	spoken, err := certs.ByKey(key, api)
	if err != nil {
		return nil, err
	}
	c, err := tls.Dial("tcp", at, spoken)
	if err != nil {
		return nil, err
	}
	body := `{"info": {"name": "mute"}}`
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\n%s: %d\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", followPath, versionHeader, Version, clusterHeader, cluster, len(body), body)
	return c, err
}
