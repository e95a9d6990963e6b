// Package sample writes a JSON value that a JSON Schema accepts, for engines that only simulate a model.
//
// It promises that what it gives is valid: each value is held against the whole schema before it is given away, and a schema
// for which it finds none is an error that says what was not met. Equal schemas get equal values. Members come in the order in which the schema
// names them, as from an engine that decodes along a grammar.
//
// It never fetches what a schema refers to elsewhere, and it is no fuzzer: it gives one value, a plain one.
package sample
