package slot

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	logMost  = 8 << 20 // bytes of one log file; one predecessor is kept beside it
	logsMost = 100     // ended engines whose logs are kept
	tailMost = 4 << 10 // bytes kept for the failure message
	lastMost = 8       // lines of it
)

// engineLog is where an engine's output goes: a bounded file, and its end in memory. A full disk stops the file, never
// the engine, so Write does not fail.
type engineLog struct {
	path  string
	wrote chan struct{} // holds one when the engine has written something

	mu   sync.Mutex // guards all below
	file *os.File
	size int64
	tail []byte
}

func openLog(path string) (*engineLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	l := &engineLog{path: path, file: file, wrote: make(chan struct{}, 1)}
	if info, err := file.Stat(); err == nil {
		l.size = info.Size()
	}
	return l, nil
}

// Write implements io.Writer. It is called from the copier of one process at a time.
func (l *engineLog) Write(p []byte) (int, error) {
	poke(l.wrote)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, p...)
	if len(l.tail) > 2*tailMost {
		l.tail = append(l.tail[:0], l.tail[len(l.tail)-tailMost:]...)
	}
	if l.size+int64(len(p)) > logMost {
		l.turn()
	}
	if l.file != nil {
		n, _ := l.file.Write(p)
		l.size += int64(n)
	}
	return len(p), nil
}

// turn begins a new file; it needs mu.
func (l *engineLog) turn() {
	if l.file != nil {
		l.file.Close()
	}
	os.Rename(l.path, l.path+".1")
	l.file, _ = os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	l.size = 0
}

func (l *engineLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

// last gives the last lines that say something, without control characters.
func (l *engineLog) last() []string {
	l.mu.Lock()
	tail := string(l.tail[max(0, len(l.tail)-tailMost):])
	l.mu.Unlock()
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(tail, "?")) {
		line = strings.TrimSpace(strings.Map(printable, colours.ReplaceAllString(line, "")))
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-lastMost):]
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// lastLines is last for the end of a failure message.
func (l *engineLog) lastLines() string {
	lines := l.last()
	if len(lines) == 0 {
		return "; it logged nothing"
	}
	return "; its log ends: " + strings.Join(lines, " | ")
}

// mentionsPortClash reports whether the engine complained of its port.
func (l *engineLog) mentionsPortClash() bool {
	return l.mentions("address already in use", "address in use", "eaddrinuse", "errno 98", "couldn't bind", "failed to bind", "cannot bind")
}

// mentionsOutOfMemory reports whether the engine complained of GPU memory that was not there.
func (l *engineLog) mentionsOutOfMemory() bool {
	return l.mentions("cuda out of memory", "outofmemoryerror", "cuda error: out of memory")
}

// mentionsMissingWeights reports whether the engine complained of weights that it did not find or could not read, in Hugging Face's words.
func (l *engineLog) mentionsMissingWeights() bool {
	return l.mentions("is not a local folder and is not a valid model identifier", "repository not found", "repositorynotfounderror", "gatedrepoerror",
		"localentrynotfounderror", "does not appear to have a file named", "incorrect path_or_model_id", "error while deserializing header", "safetensorerror",
		"failed to load model from file", "error loading model")
}

// mentionsBrokenDevice reports whether the engine complained of a GPU or driver that does not work, in CUDA's words.
func (l *engineLog) mentionsBrokenDevice() bool {
	return l.mentions("no cuda-capable device is detected", "cuda driver version is insufficient", "uncorrectable ecc error", "driver/library version mismatch",
		"cuda-capable device(s) is/are busy or unavailable", "system not yet initialized")
}

// lacksSleepMode reports whether the engine's command line has no option for sleep mode.
func (l *engineLog) lacksSleepMode() bool {
	return l.mentions("no such option", "unrecognized arguments") && l.mentions("enable_sleep_mode", "enable-sleep-mode")
}

// mentions reports whether the end of the log has one of the words, which are in lower case.
func (l *engineLog) mentions(words ...string) bool {
	l.mu.Lock()
	tail := bytes.ToLower(l.tail)
	l.mu.Unlock()
	return slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(tail, []byte(w)) })
}

// pruneLogs removes the logs of the engines that ended longest ago.
func (s *Slot) pruneLogs() {
	files, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	if len(files) <= logsMost {
		return
	}
	type dated struct {
		path string
		at   int64
	}
	var logs []dated
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && !s.exists(strings.TrimSuffix(filepath.Base(file), ".log")) {
			logs = append(logs, dated{file, info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(logs, func(a, b dated) int { return cmp.Compare(a.at, b.at) })
	for _, old := range logs[:max(0, len(logs)-logsMost)] {
		os.Remove(old.path)
		os.Remove(old.path + ".1")
	}
}

func (s *Slot) exists(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(id) != nil
}
