package openai

import (
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EngineError gives what an engine's error answer says, fit to be shown: on one line, bounded, without addresses, paths
// and stacks. It knows the three shapes of trtllm-serve ({"error":"text"} for what fails validation, {"object":"error",
// "message":…} for what fails later, FastAPI's {"detail":…}; tensorrt_llm/serve/openai_server.py), the OpenAI shape, and
// plain text. An answer that says nothing fit to be shown gives the status in words.
func EngineError(status int, body []byte) (message string) {
	message = sanitise(engineMessage(body))
	if message != "" {
		return message
	}
	if text := http.StatusText(status); text != "" {
		return "The engine answered: " + text + "."
	}
	return "The engine answered with an error."
}

func engineMessage(body []byte) string {
	a, ok := glance(body)
	switch {
	case a.fault != nil:
		if text, ok := stringValue(a.fault); ok {
			return text
		}
		inner, _ := glance(a.fault)
		text, _ := stringValue(inner.message)
		return text
	case a.message != nil:
		text, _ := stringValue(a.message)
		return text
	case a.detail != nil:
		return detailMessage(a.detail)
	case ok || !printable(body):
		return ""
	}
	return string(body)
}

// detailMessage reads FastAPI's detail: a text, or a list of what failed validation.
func detailMessage(detail []byte) string {
	if text, ok := stringValue(detail); ok {
		return text
	}
	var said []string
	l := lexer{b: detail}
	if !l.take('[') {
		return ""
	}
	for {
		item := lexer{b: l.b, i: l.i}
		item.members(func(key, value []byte) {
			if text, ok := stringValue(value); ok && string(key) == "msg" {
				said = append(said, text)
			}
		})
		if !l.skip(1) {
			break
		}
		if another, _ := l.more(']'); !another {
			break
		}
	}
	return strings.Join(said, "; ")
}

// stringValue decodes value if it is a string.
func stringValue(value []byte) (string, bool) {
	l := lexer{b: value}
	s, _, ok := l.text()
	return string(appendDecoded(nil, s.of(value))), ok
}

// printable reports whether body may be a message in plain text, and neither JSON nor a page.
func printable(body []byte) bool {
	text := strings.TrimSpace(string(body[:min(len(body), 64)]))
	return text != "" && !strings.ContainsRune("<{[\"", rune(text[0])) && text != "null"
}

// The bounds of what of an engine's message is looked at, and shown, in bytes.
const (
	maxEngineText    = 64 << 10
	maxEngineMessage = 8 << 10
)

const hidden = "[hidden]"

// stackLine matches the first line of a stack: of Python (File "…"), of C++ with frame numbers or addresses, of Java and Go.
var stackLine = regexp.MustCompile(`^\s*(File "|at \S+\(|#?\d+:?\s+(0x|/)|frame #|goroutine \d+)|0x[0-9a-fA-F]{6,}`)

// pydanticLink ends each complaint of pydantic and helps nobody here.
var pydanticLink = regexp.MustCompile(`For further information visit \S+`)

// saltEcho matches the field that is ours where a complaint repeats the whole request.
var saltEcho = regexp.MustCompile(`['"]cache_salt['"]: ?['"][^'"]*['"](?:, ?)?`)

// secrets match what is never shown. Group 1 is what stands before it and stays.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`()[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*`),                                      // URLs
	regexp.MustCompile(`()\b0x[0-9a-fA-F]+`),                                                          // addresses in memory
	regexp.MustCompile(`()\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?`),                                   // IPv4
	regexp.MustCompile(`(^|[^\w:])\[?(?:[0-9a-fA-F]{1,4}:){3,}[0-9a-fA-F:.]*(?:%\w+)?(?:\]:\d+|\])?`), // IPv6
	regexp.MustCompile(`(^|[^\w:])\[?(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*)?::[0-9a-fA-F:.]*(?:%\w+)?(?:\]:\d+|\])?`),
	regexp.MustCompile(`()(?i:\blocalhost\b)(?::\d+)?`),
	regexp.MustCompile(`()\b[A-Za-z]:\\[^\s"']*`),                                                        // C:\…
	regexp.MustCompile(`()\\\\[\w.-]+\\[^\s"']*`),                                                        // \\host\…
	regexp.MustCompile(`(^|[^\w.~/-])(?:~|\.{1,2})?(?:/[\w.@+~%-]+)+/?(?::\d+)?`),                        // /srv/weights, ~/x, ../x
	regexp.MustCompile(`()\b[\w./-]+\.(?:py|cpp|cc|cu|cuh|hpp|h|so|go|rs)\b(?:\.\d+)*(?::\d+|\(\d+\))?`), // openai_server.py:123
	regexp.MustCompile(`()\b[A-Za-z0-9][A-Za-z0-9.-]*[.-][A-Za-z0-9.-]*:\d{2,5}\b`),                      // gpu-3:8000, a.b:80
	regexp.MustCompile(`()\b[A-Za-z][A-Za-z0-9]*:\d{4,5}\b`),                                             // node7:8000
}

// sanitise makes text one line without secrets.
func sanitise(text string) string {
	text, _, _ = strings.Cut(text[:min(len(text), maxEngineText)], "Traceback (most recent call last)")
	var kept []string
	for i, line := range strings.Split(text, "\n") {
		if i > 0 && stackLine.MatchString(line) {
			break
		}
		kept = append(kept, line)
	}
	text = strings.Map(plain, strings.ToValidUTF8(strings.Join(kept, " "), ""))
	text = saltEcho.ReplaceAllString(pydanticLink.ReplaceAllString(text, ""), "")
	for _, secret := range secrets {
		text = secret.ReplaceAllString(text, "${1}"+hidden)
	}
	return clip(strings.Join(strings.Fields(text), " "), maxEngineMessage)
}

// plain turns what does not print into spaces, since a terminal or a log may be where the message ends.
func plain(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// clip shortens text to at most n bytes, at a rune.
func clip(text string, n int) string {
	const dots = "…"
	if len(text) <= n {
		return text
	}
	n -= len(dots)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.TrimSpace(text[:n]) + dots
}
