package trtsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

func (e *Engine) serveRelease(w http.ResponseWriter, r *http.Request, body []byte) {
	e.control(w, r, body, e.release)
}

func (e *Engine) serveResume(w http.ResponseWriter, r *http.Request, body []byte) {
	e.control(w, r, body, e.resume)
}

// control answers one signed operation. It goes on if the caller leaves: upstream runs it in a thread of its own.
func (e *Engine) control(w http.ResponseWriter, r *http.Request, body []byte, operate func([]string) error) {
	if err := e.authenticate(r, body); err != nil {
		writeFailure(w, err)
		return
	}
	tags, err := readTags(body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, append(appendString([]byte(`{"error":`), err.Error()), '}'))
		return
	}
	err = operate(tags)
	var late *conflict
	var wrong *badTags
	status := http.StatusInternalServerError
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, []byte(`{"status":"success"}`))
		return
	case errors.Is(err, errCut):
		panic(http.ErrAbortHandler)
	case errors.As(err, &late):
		status = http.StatusConflict
	case errors.As(err, &wrong):
		status = http.StatusBadRequest
	}
	writeJSON(w, status, append(appendString([]byte(`{"error":{"message":`), err.Error()), "}}"...))
}

// readTags reads an empty body, {} or {"tags": […]}; nil stands for all tags.
func readTags(body []byte) ([]string, error) {
	if len(body) == 0 {
		return nil, nil
	}
	var f fields
	if err := json.Unmarshal(body, &f); err != nil || f == nil {
		return nil, fmt.Errorf("unable to parse the request body: %s", body[:min(len(body), 100)])
	}
	v := &validationError{}
	for _, name := range f.inOrder() {
		if name != "tags" {
			v.add("extra_forbidden", name, "Extra inputs are not permitted", repr(f[name]))
		}
	}
	if len(v.items) > 0 {
		return nil, v
	}
	raw := f["tags"]
	if isNull(raw) {
		return nil, nil
	}
	tags := []string{}
	if json.Unmarshal(raw, &tags) != nil {
		v.add("list_type", "tags", "Input should be a valid list", repr(raw))
		return nil, v
	}
	return tags, nil
}

func (e *Engine) serveMemoryStatus(w http.ResponseWriter, r *http.Request, body []byte) {
	if err := e.authenticate(r, body); err != nil {
		writeFailure(w, err)
		return
	}
	e.mu.Lock()
	out, _ := json.Marshal(struct {
		State  memoryState `json:"state"`
		Parked []string    `json:"parked_tags"`
	}{e.memory.state, append([]string{}, sortedTags(e.memory.parked)...)})
	e.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
}

// release closes admission, waits until all that was admitted is done, and moves the tags' memory off the GPUs.
func (e *Engine) release(named []string) error {
	tags, took, drained, err := e.beginRelease(named)
	if err != nil || len(tags) == 0 {
		return err
	}
	select {
	case <-drained:
	case <-e.dead:
		return errCut
	}
	if _, strikes := e.take(FaultReleaseHang); strikes {
		<-e.dead
		return errCut
	}
	if err := e.move(took); err != nil {
		return err
	}
	if _, strikes := e.take(FaultRelease); strikes {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.memory.state = failed
		return errors.New("CUDA error: invalid argument (cuMemUnmap)")
	}
	away := map[string]bool{}
	for _, t := range tags { // from running, nothing else is parked
		away[t] = true
	}
	if _, strikes := e.take(FaultReleaseShort); strikes {
		err = e.memory.chargeMost()
	} else {
		err = e.memory.charge(away)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.memory.state = failed
		return err
	}
	e.memory.parked = away
	e.memory.state = parked
	return nil
}

// beginRelease checks the operation against the state. No tags and no error: there is nothing to do.
func (e *Engine) beginRelease(named []string) (tags []string, took time.Duration, drained <-chan struct{}, err error) {
	if tags, err = resolve(named, usableTags); err != nil {
		return nil, 0, nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.memory
	switch m.state {
	case running:
	case parked:
		if slices.ContainsFunc(tags, func(t string) bool { return !m.parked[t] }) {
			return nil, 0, nil, &conflict{"Runtime memory is already parked"}
		}
		return nil, 0, nil, nil
	default:
		return nil, 0, nil, &conflict{fmt.Sprintf("Cannot release runtime memory while state is %s", m.state)}
	}
	if len(tags) == 0 {
		return nil, 0, nil, nil
	}
	m.state = parking
	park := e.pace.park()
	if !m.before { // the host's buffers are made once
		park = e.pace.firstPark()
		m.before = true
	}
	took = time.Duration(float64(park) * share(tags))
	ch := make(chan struct{})
	e.batch.drained = ch
	e.batch.settle()
	return tags, e.pace.jitter(took, 0.10), ch, nil
}

// resume moves memory back onto the GPUs. Where another engine has taken the room, the engine is lost.
func (e *Engine) resume(named []string) error {
	tags, took, err := e.beginResume(named)
	if err != nil || len(tags) == 0 {
		return err
	}
	if _, strikes := e.take(FaultResumeHang); strikes {
		<-e.dead
		return errCut
	}
	if left, err := e.reoccupy(tags); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.memory.state = left
		return err
	}
	if err := e.move(took); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range tags {
		delete(e.memory.parked, t)
	}
	e.memory.state = parked
	if len(e.memory.parked) == 0 {
		e.memory.state = running
		e.batch.extra = e.pace.first(false)
	}
	return nil
}

func (e *Engine) beginResume(named []string) (tags []string, took time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.memory
	if tags, err = resolve(named, sortedTags(m.parked)); err != nil {
		return nil, 0, err
	}
	switch m.state {
	case running, parked:
	default:
		return nil, 0, &conflict{fmt.Sprintf("Cannot resume runtime memory while state is %s", m.state)}
	}
	tags = slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return !m.parked[t] })
	if len(tags) == 0 {
		return nil, 0, nil
	}
	m.state = waking
	took = time.Duration(float64(e.pace.wake()) * share(tags))
	return tags, e.pace.jitter(took, 0.10), nil
}

// reoccupy takes the memory that the tags need, or says in what state it leaves the engine. Whether the real one ever survives that is not known.
func (e *Engine) reoccupy(tags []string) (left memoryState, err error) {
	const oom = "CUDA error: out of memory (cuMemCreate)"
	if f, strikes := e.take(FaultResume, FaultResumeShort); strikes {
		if f.Kind == FaultResumeShort {
			return parked, errors.New(oom)
		}
		return failed, errors.New(oom)
	}
	e.mu.Lock()
	away := maps.Clone(e.memory.parked)
	e.mu.Unlock()
	for _, t := range tags {
		delete(away, t)
	}
	if err := e.memory.charge(away); err != nil {
		return failed, fmt.Errorf("%s: %w", oom, err)
	}
	return waking, nil
}

// move waits for a copy, whoever else leaves; only the engine's death ends it.
func (e *Engine) move(took time.Duration) error {
	if err := e.sleep(context.Background(), took); err != nil {
		return errCut
	}
	return nil
}
