package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// summarize gives the median and the range of a sample.
func summarize(name, unit string, sample []float64) finding {
	f := finding{Name: name, Unit: unit, N: len(sample)}
	if len(sample) == 0 {
		return f
	}
	s := slices.Sorted(slices.Values(sample))
	f.Min, f.Max, f.Median = s[0], s[len(s)-1], quantile(s, 0.5)
	return f
}

// quantile of a sorted sample, by linear interpolation.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func quantileOf(sample []float64, q float64) float64 {
	return quantile(slices.Sorted(slices.Values(sample)), q)
}

func quantiles(sample []time.Duration, qs ...float64) []time.Duration {
	s := make([]float64, len(sample))
	for i, d := range sample {
		s[i] = float64(d)
	}
	slices.Sort(s)
	out := make([]time.Duration, len(qs))
	for i, q := range qs {
		if len(s) > 0 {
			out[i] = time.Duration(quantile(s, q))
		}
	}
	return out
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }
func millis(d time.Duration) float64 { return float64(d) / 1e6 }

// machine names the processor and the Go release, for reports that others will read.
func machine() (cpu, goVersion string) {
	cpu = fmt.Sprintf("%d CPUs", runtime.NumCPU())
	f, err := os.Open("/proc/cpuinfo")
	if err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == "model name" {
				cpu += " " + strings.TrimSpace(value)
				break
			}
		}
	}
	return cpu, runtime.Version()
}
