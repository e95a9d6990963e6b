package dialect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// reader reads a request's parts, and keeps the first thing that is wrong with it: whoever reads need not look at each step. Values are parts of the body,
// as they stand there; absent ones and null are nil.
type reader struct {
	err    *openai.RequestError
	remote string // the path of the first image that would have to be fetched
}

// wrong notes that the value at a path is not what it has to be. The path is part of the message, for shapes that have no field for it.
func (r *reader) wrong(at, format string, args ...any) {
	if r.err == nil {
		r.err = &openai.RequestError{Message: at + ": " + fmt.Sprintf(format, args...), Param: at}
	}
}

// result gives what is wrong, as an error that is nil if nothing is.
func (r *reader) result() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// object is a JSON object of the body.
type object struct {
	*reader
	at      string // its path; "" is the body
	members map[string][]byte
}

// byteOrderMark is what editors and shells put before a body.
const byteOrderMark = "\xEF\xBB\xBF"

// object reads one; a value that is none is wrong.
func (r *reader) object(at string, value []byte) object {
	o := object{reader: r, at: at, members: map[string][]byte{}}
	value = bytes.TrimPrefix(value, []byte(byteOrderMark))
	ok := openai.Members(value, func(key, value []byte) bool {
		if !isNull(value) {
			o.members[string(key)] = value
		} else {
			delete(o.members, string(key)) // the last of two counts
		}
		return true
	})
	if !ok {
		r.wrong(at, "an object was expected.")
	}
	return o
}

func (o object) path(key string) string {
	if o.at == "" {
		return key
	}
	return o.at + "." + key
}

// maxSaid bounds what of a caller's word is repeated, in bytes.
const maxSaid = 64

func clip(s string) string {
	if len(s) <= maxSaid {
		return s
	}
	return strings.ToValidUTF8(s[:maxSaid], "") + "…"
}

// only refuses members that are not listed. Which of several is said is the first in the alphabet, so that equal requests get equal answers.
func (o object) only(known ...string) {
	unknown := ""
	for key := range o.members {
		if !slices.Contains(known, key) && (unknown == "" || key < unknown) {
			unknown = key
		}
	}
	if unknown != "" {
		o.wrong(o.path(clip(unknown)), "this field is not supported.")
	}
}

// has says whether a member is there that is not null, false, or empty.
func (o object) has(key string) bool {
	switch v := o.members[key]; string(v) {
	case "", "false", `""`, "[]", "{}":
		return false
	}
	return true
}

// refuse refuses a member that asks for something.
func (o object) refuse(key, why string) {
	if o.has(key) {
		o.wrong(o.path(key), "%s", why)
	}
}

// word reads a string that is to be looked at.
func (o object) word(key string) string {
	return string(openai.Decode(o.text(key)))
}

// text reads a string and gives the inside of its quotes, as it was written. It is nil if there is none.
func (o object) text(key string) []byte {
	v := o.members[key]
	if v == nil {
		return nil
	}
	inside, ok := openai.Text(v)
	if !ok {
		o.wrong(o.path(key), "a string was expected.")
	}
	return inside
}

// needText is text for a member that must be there.
func (o object) needText(key string) []byte {
	o.need(key)
	return o.text(key)
}

func (o object) need(key string) {
	if o.members[key] == nil {
		o.wrong(o.path(key), "this field is required.")
	}
}

// number gives a number as it was written.
func (o object) number(key string) []byte {
	v := o.members[key]
	if len(v) > 0 && v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		o.wrong(o.path(key), "a number was expected.")
	}
	return v
}

// count gives a whole number that is at least least.
func (o object) count(key string, least int64) []byte {
	v := o.number(key)
	if v == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < least {
		o.wrong(o.path(key), "a whole number of at least %d was expected.", least)
	}
	return v
}

// flag gives true or false; given is false for an absent one.
func (o object) flag(key string) (yes, given bool) {
	v := o.members[key]
	if v == nil {
		return false, false
	}
	if v[0] != 't' && v[0] != 'f' {
		o.wrong(o.path(key), "true or false was expected.")
	}
	return v[0] == 't', true
}

// oneOf reads a string that is one of a few.
func (o object) oneOf(key string, words ...string) string {
	w := o.word(key)
	if o.members[key] != nil && !slices.Contains(words, w) {
		o.wrong(o.path(key), "%q is not supported; it may be %s.", clip(w), strings.Join(words, ", "))
	}
	return w
}

// object reads a member that is an object; given is false for an absent one.
func (o object) object(key string) (inner object, given bool) {
	v := o.members[key]
	if v == nil {
		return object{reader: o.reader, at: o.path(key)}, false
	}
	return o.reader.object(o.path(key), v), true
}

// schema gives an object that is handed on as it is.
func (o object) schema(key string) []byte {
	v := o.members[key]
	if v != nil && v[0] != '{' {
		o.wrong(o.path(key), "an object was expected.")
	}
	return v
}

// image reads the URL of an image, and finds one that would have to be fetched.
func (o object) image(key string) piece {
	url := o.needText(key)
	if url != nil && !openai.IsData(url) && o.remote == "" {
		o.remote = o.path(key)
	}
	return piece{url: url}
}

// each calls f with the objects of a list.
func (o object) each(key string, f func(object)) {
	o.elements(key, func(at string, value []byte) { f(o.reader.object(at, value)) })
}

// elements calls f with the values of a list and their paths, up to the first that is wrong.
func (o object) elements(key string, f func(at string, value []byte)) {
	if v := o.members[key]; v != nil {
		o.reader.list(o.path(key), v, f)
	}
}

// maxElements bounds a list. Anthropic's own limit of messages is the same; without one, a body full of the shortest ones would take seconds to read.
const maxElements = 100_000

// list is elements for the value at a path.
func (r *reader) list(at string, value []byte, f func(at string, value []byte)) {
	if r.err != nil {
		return
	}
	if value[0] != '[' {
		r.wrong(at, "a list was expected.")
		return
	}
	n := 0
	openai.Elements(value, func(value []byte) bool {
		if n == maxElements {
			r.wrong(at, "there are more than %d elements.", maxElements)
			return false
		}
		f(at+"["+strconv.Itoa(n)+"]", value)
		n++
		return r.err == nil
	})
}

func isNull(value []byte) bool { return len(value) == 0 || value[0] == 'n' }

func isString(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// blank says whether the inside of a string is empty.
func blank(inside []byte) bool { return len(bytes.TrimSpace(inside)) == 0 }
