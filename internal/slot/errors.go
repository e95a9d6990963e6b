package slot

import (
	"errors"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// What Do and Fence refuse, here and at a distance. Each comes wrapped in what the act was. Those that say nothing about the model wrap the
// error of fleet that says what is to blame.
var (
	ErrNotAvailable = errors.New("not available")
	ErrOldTerm      = fmt.Errorf("act of an older term: %w", fleet.ErrFenced)
	ErrEnded        = errors.New("instance has ended; its id is never used again")
	ErrUnknown      = errors.New("no such instance")
	ErrState        = errors.New("instance is in another state")
	ErrExists       = errors.New("instance exists elsewhere or with another model")
	ErrUnknownModel = errors.New("model is not in the config")
	ErrBadBlock     = fmt.Errorf("no such block of GPUs: %w", fleet.ErrPlaceClosed)
	ErrBusy         = fmt.Errorf("GPUs are in use: %w", fleet.ErrPlaceClosed)
	ErrCrowded      = fmt.Errorf("too many engines are parked on the GPUs: %w", fleet.ErrPlaceClosed)
	ErrHostMemory   = fmt.Errorf("no host memory left for parked engines: %w", fleet.ErrPlaceClosed)
	ErrShuttingDown = fmt.Errorf("supervisor is shutting down: %w", fleet.ErrPlaceClosed)
	ErrUnauthorized = fmt.Errorf("the slot key is missing or wrong: %w", fleet.ErrDenied)
)
