package openai

import "strconv"

// Error is an answer in the error shape of the OpenAI API.
type Error struct {
	Status  int     `json:"-"`
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"` // the field at fault; nil = none
	Code    string  `json:"code"`
}

// The codes of errors. The public and the admin API use no others.
const (
	CodeInvalidRequest      = "invalid_request"
	CodeContextLength       = "context_length_exceeded"
	CodeMethodNotAllowed    = "method_not_allowed"
	CodeRequestTimeout      = "request_timeout"
	CodeRequestTooLarge     = "request_too_large"
	CodeUnsupportedEncoding = "unsupported_encoding"
	CodeHeadersTooLarge     = "headers_too_large"
	CodeHTTPVersion         = "http_version"
	CodeInvalidAPIKey       = "invalid_api_key"
	CodePermissionDenied    = "permission_denied"
	CodeModelNotFound       = "model_not_found"
	CodeUnsupportedEndpoint = "unsupported_endpoint"
	CodeNotFound            = "not_found"
	CodeRateLimit           = "rate_limit_exceeded"
	CodeConcurrencyLimit    = "concurrency_limit_exceeded"
	CodeQueueFull           = "queue_full"
	CodeBudgetExceeded      = "budget_exceeded"
	CodeEngineError         = "engine_error"
	CodeUpstreamTimeout     = "upstream_timeout"
	CodeNoCapacity          = "no_capacity"
	CodeActivationFailed    = "activation_failed"
	CodeActivationTimeout   = "activation_timeout"
	CodeNotHot              = "not_hot"
	CodeOverloaded          = "overloaded"
	CodeShuttingDown        = "shutting_down"
)

const (
	typeRequest    = "invalid_request_error"
	typeAuth       = "authentication_error"
	typePermission = "permission_error"
	typeRate       = "rate_limit_error"
	typeQuota      = "insufficient_quota"
	typeServer     = "server_error"
)

// statusAndType belong to a code, and to no other choice of whoever answers with it.
func statusAndType(code string) (status int, kind string) {
	switch code {
	case CodeInvalidRequest, CodeContextLength:
		return 400, typeRequest
	case CodeInvalidAPIKey:
		return 401, typeAuth
	case CodePermissionDenied:
		return 403, typePermission
	case CodeModelNotFound, CodeUnsupportedEndpoint, CodeNotFound:
		return 404, typeRequest
	case CodeMethodNotAllowed:
		return 405, typeRequest
	case CodeRequestTimeout:
		return 408, typeRequest
	case CodeRequestTooLarge:
		return 413, typeRequest
	case CodeUnsupportedEncoding:
		return 415, typeRequest
	case CodeRateLimit, CodeConcurrencyLimit, CodeQueueFull:
		return 429, typeRate
	case CodeBudgetExceeded:
		return 429, typeQuota
	case CodeHeadersTooLarge:
		return 431, typeRequest
	case CodeHTTPVersion:
		return 505, typeRequest
	case CodeEngineError:
		return 502, typeServer
	case CodeUpstreamTimeout:
		return 504, typeServer
	case CodeNoCapacity, CodeActivationFailed, CodeActivationTimeout, CodeNotHot, CodeOverloaded, CodeShuttingDown:
		return 503, typeServer
	}
	return 500, typeServer
}

// NewError gives the error of a code, with the status and type that belong to it; 500 and server_error for a code of no table.
func NewError(code, message string) *Error {
	status, kind := statusAndType(code)
	return &Error{Status: status, Message: message, Type: kind, Code: code}
}

func (e *Error) Error() string { return strconv.Itoa(e.Status) + " " + e.Code + ": " + e.Message }

// JSON is the body {"error":{…}}.
func (e *Error) JSON() []byte { return e.Append(nil) }

// Event is the event of a stream that ends with the error.
func (e *Error) Event() []byte { return append(e.Append([]byte("data: ")), "\n\n"...) }

// Append appends the body {"error":{…}}.
func (e *Error) Append(dst []byte) []byte {
	dst = AppendString(append(dst, `{"error":{"message":`...), e.Message)
	dst = AppendString(append(dst, `,"type":`...), e.Type)
	dst = append(dst, `,"param":`...)
	if e.Param == nil {
		dst = append(dst, "null"...)
	} else {
		dst = AppendString(dst, *e.Param)
	}
	dst = AppendString(append(dst, `,"code":`...), e.Code)
	return append(dst, "}}"...)
}
