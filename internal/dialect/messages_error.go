package dialect

import "github.com/pilotlight-io/pilotlight/internal/openai"

// messagesErrorType gives Anthropic's word for an error's kind.
func messagesErrorType(e *openai.Error) string {
	switch {
	case e.Code == openai.CodeBudgetExceeded:
		return "billing_error"
	case e.Status == 401:
		return "authentication_error"
	case e.Status == 403:
		return "permission_error"
	case e.Status == 404:
		return "not_found_error"
	case e.Status == 413:
		return "request_too_large"
	case e.Status == 429:
		return "rate_limit_error"
	case e.Status == 504:
		return "timeout_error"
	case e.Status == 503:
		return "overloaded_error"
	case e.Status >= 500 && e.Status != 505:
		return "api_error"
	}
	return "invalid_request_error"
}

// AppendError appends the shape that Anthropic's SDKs know. Its details carry the code by which our errors are told apart in every dialect.
func (messages) AppendError(b []byte, e *openai.Error, request string) []byte {
	b = append(append(b, `{"type":"error","error":{"type":"`...), messagesErrorType(e)...)
	b = openai.AppendString(append(b, `","message":`...), e.Message)
	b = openai.AppendString(append(b, `,"details":{"error_code":`...), e.Code)
	b = openai.AppendString(append(b, `}},"request_id":`...), request)
	return append(b, '}')
}

func (m messages) AppendEvent(b []byte, e *openai.Error, request string) []byte {
	b = append(b, "event: error\ndata: "...)
	return append(m.AppendError(b, e, request), "\n\n"...)
}
