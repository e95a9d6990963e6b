// Package engine knows the engine kinds: how each is launched, when it is ready, how it parks and where its metrics are.
//
// It promises that one place decides a launch line, that an engine is called ready only after it has generated a token,
// and that a control call is signed as TensorRT-LLM's sleep mode asks. It never starts a process (internal/slot does), never
// keeps state about an engine, and never starts a goroutine that outlives a call.
package engine
