// Package trace reads recorded request traffic of many models: a gzipped CSV of arrivals, and beside it a CSV that says what each model
// needs and what its moves between tiers take. It also gives the bound below which no policy can come.
//
// It promises to hold one line at a time, however long the trace is, and to name the file, the line and what would be right in every
// error. It never reads a clock and knows nothing of policies.
package trace
