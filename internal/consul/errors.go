package consul

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// blame says what kind of failure an error of Consul's API is: a refused token or right, or that Consul cannot be asked.
func blame(err error) error {
	var status api.StatusError
	switch {
	case err == nil, errors.Is(err, fleet.ErrDenied), errors.Is(err, fleet.ErrUnreachable):
		return err
	case errors.As(err, &status) && (status.Code == http.StatusForbidden || status.Code == http.StatusUnauthorized):
		return fmt.Errorf("%w: %w", fleet.ErrDenied, err)
	}
	return fmt.Errorf("%w: %w", fleet.ErrUnreachable, err)
}
