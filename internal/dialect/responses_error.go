package dialect

import "github.com/pilotlight-io/pilotlight/internal/openai"

// AppendError appends the shape that all of OpenAI's API has.
func (responses) AppendError(b []byte, e *openai.Error, _ string) []byte { return e.Append(b) }

func (responses) AppendEvent(b []byte, e *openai.Error, _ string) []byte {
	b = append(appendEvent(b, "error"), `,"sequence_number":0,`...)
	return endEvent(appendFlatError(b, e))
}

// appendFlatError appends the members of an error event: as openai-python's type has them, and once more as the object that both SDKs raise.
func appendFlatError(b []byte, e *openai.Error) []byte {
	b = openai.AppendString(append(b, `"code":`...), e.Code)
	b = openai.AppendString(append(b, `,"message":`...), e.Message)
	b = append(b, `,"param":`...)
	if e.Param == nil {
		b = append(b, "null"...)
	} else {
		b = openai.AppendString(b, *e.Param)
	}
	whole := e.JSON()
	b = append(b, ',')
	return append(b, whole[1:len(whole)-1]...)
}
