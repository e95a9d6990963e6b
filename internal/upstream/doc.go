// Package upstream is the HTTP/1.1 client to engines.
//
// It promises that an exchange can be aborted at any moment from any goroutine, and that the engine then sees its
// connection closed at once; that an answer that was cut short is an error and never looks complete; that a connection
// goes back to the pool only after a clean end with nothing left to read, so that no byte of one answer reaches another;
// and that a request is sent twice only if it could not be sent whole over a pooled connection: no engine has then carried it out.
//
// It never starts a goroutine for an exchange, never follows redirects, never decompresses, speaks no TLS (engines bind to
// private addresses), and never sends anything of the caller's framing: it writes its own head and Content-Length.
package upstream
