package fleet

import "errors"

// Why a back end or an observer could not do its work. Do and Watch wrap them, so that whoever asks knows what is to blame; any other error of a
// launch is the model's own.
var (
	ErrFenced      = errors.New("a newer server has taken over")                // an act of an older term: nothing that this server orders counts any more
	ErrDenied      = errors.New("the token is refused, or lacks a right")       // by Nomad or Consul
	ErrUnreachable = errors.New("cannot be reached")                            // Nomad, Consul, or the slot's supervisor: says nothing about the model
	ErrUndecided   = errors.New("nothing is said of the engine")                // it was not asked for want of means of ours, or has no room for another request
	ErrPlaceClosed = errors.New("the place is gone, or takes no new instances") // likewise
)
