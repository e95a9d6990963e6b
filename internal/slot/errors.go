package slot

import "errors"

// What Do refuses, here and at a distance. Each comes wrapped in what the act was.
var (
	ErrNotAvailable = errors.New("not available")
	ErrOldTerm      = errors.New("act of an older term")
	ErrEnded        = errors.New("instance has ended; its id is never used again")
	ErrUnknown      = errors.New("no such instance")
	ErrState        = errors.New("instance is in another state")
	ErrExists       = errors.New("instance exists elsewhere or with another model")
	ErrUnknownModel = errors.New("model is not in the config")
	ErrBadBlock     = errors.New("no such block of GPUs")
	ErrBusy         = errors.New("GPUs are in use")
	ErrCrowded      = errors.New("too many engines are parked on the GPUs")
	ErrHostMemory   = errors.New("no host memory left for parked engines")
	ErrShuttingDown = errors.New("supervisor is shutting down")
	ErrUnauthorized = errors.New("the slot key is missing or wrong")
)
