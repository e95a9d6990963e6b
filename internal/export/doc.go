// Package export writes usage for other programs: CSV, JSON lines, and FOCUS, the FinOps Open Cost and Usage Specification.
//
// It promises columns that stay where they are, and money that is exact: decimals of as many places as it takes, and FOCUS rows that add up to what is
// payable. It never sums up, and never uses floating point.
package export
