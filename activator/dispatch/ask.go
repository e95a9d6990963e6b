package dispatch

import "time"

// Ask is one request for a lease.
type Ask struct {
	Model    string
	Org      string        // whose turn it takes in the queue
	Request  string        // its name, by which operators find it
	Affinity string        // keeps requests with the same key on one instance while it has room; "" = the least loaded
	MaxWait  time.Duration // longest wait; 0 or more than the model's max_wait = the model's max_wait
	OnlyHot  bool          // refuse with ErrNotHot unless an instance is ready; one that is ready but full is waited for
	Retry    bool          // the second attempt of a request that an engine failed: goes to the head, beyond the queue's bounds
	Avoid    string        // instance that just failed the request: not granted again while another is ready, nor within 2 s
}
