package tenant

import "errors"

// Errors of this package. Authenticate gives the first five.
var (
	ErrInvalidToken = errors.New("the token is not valid")
	ErrExpired      = errors.New("the token has expired")
	ErrRevoked      = errors.New("the token was revoked")
	ErrOrgSuspended = errors.New("the organisation is suspended")
	ErrUnheard      = errors.New("the store has not answered for too long to say what the token allows")
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("exists already")
)

// InvalidError says which field of a change is wrong, and what would be right.
type InvalidError struct {
	Field, Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }
