package nomad

import "sync"

// fence is where a newer server took over: what servers of older terms submit behind it is undone as soon as it is seen.
type fence struct {
	mu    sync.Mutex // guards both
	term  uint64     // of the newest server known
	index uint64     // Nomad's, when it took over
}

// raise notes that the server of a term has taken over at an index of Nomad. An older one changes nothing.
func (f *fence) raise(term, index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if term > f.term {
		f.term, f.index = term, index
	}
}

// overrules reports whether the job was submitted by a server of an older term after the newer one had taken over. Jobs from before are
// everybody's, and jobs by hand have no term.
func (f *fence) overrules(j *job) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	term := parseTerm(j.Meta)
	return term > 0 && term < f.term && j.CreateIndex > f.index
}
