// Package tenant knows who may ask and who pays: organisations, and the tokens that act for them.
//
// It promises that Authenticate costs no I/O and no allocation, that a secret is never stored, logged or listed (only its
// SHA-256 is kept), and that revoking a token or suspending an organisation holds at once in this process and, while Run
// runs, within one second in every other that shares the store; Follow tells of it, and Review says what is left of a grant. When the store cannot be read, what was last known keeps
// holding. When a token was last used it keeps to the minute. It never meters requests and never knows which models exist beyond the list it is given.
package tenant
