package console

import "net/http"

// kit shows every component once, in every state that it has.
func (v *visit) kit() error {
	return v.show(http.StatusOK, "kit", "Components", map[string]any{
		"States": []string{"hot", "parked", "starting", "cold", "ready", "draining", "parking", "resuming", "stopping", "failed", "active", "revoked", "expired", "open"},
	})
}
