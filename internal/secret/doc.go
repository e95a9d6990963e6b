// Package secret holds the tokens with which other services are asked, and reads them anew where they are refused.
//
// It promises that a token which was replaced in its file is used without a restart, from the first refusal of the old one on, and that a file is
// read anew at most once a second. It never writes a token to a log, an error or a formatted value.
package secret
