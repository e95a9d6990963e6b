// Package httpserver runs a server of net/http for as long as a context lasts. It knows nothing of what is served.
package httpserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// endWithin is how long handlers get to end once the context is done.
const endWithin = time.Second

// Serve answers on ln until ctx is done, which every request's context ends with, too; then it returns nil, and no handler is cut off that ends within a second. Else
// the error says why nothing can be served any more. It closes ln, and sets the server's BaseContext.
func Serve(ctx context.Context, server *http.Server, ln net.Listener) error {
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	var ending sync.WaitGroup
	defer ending.Wait()
	ended := make(chan struct{})
	ending.Go(func() {
		select {
		case <-ctx.Done():
		case <-ended:
		}
		brief, cancel := context.WithTimeout(context.Background(), endWithin)
		defer cancel()
		if server.Shutdown(brief) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(ln)
	close(ended)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
