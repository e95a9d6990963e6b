package simulate

import "fmt"

// Columns are the heads of the text table; those to be set to the right begin with ">".
var Columns = []string{
	"POLICY", ">SEED", ">COST", ">IDLE", ">SWITCH", ">WAITED", ">P50 S", ">P99 S", ">P99.9 S", ">OVER 10 S", ">MODELS", ">RESUMES", ">COLD", ">P99 BY GPUS",
}

// Row gives the run's line of the text table: GPU-hours, hours waited, and the share of requests, and of each model's requests on average, that waited longer
// than ten seconds.
func (r *Result) Row() []any {
	sizes := ""
	for i := range r.ByGPUs {
		sizes += fmt.Sprintf(" %d:%.1f", r.ByGPUs[i].GPUs, r.ByGPUs[i].WaitP99)
	}
	return []any{
		r.Policy, r.Seed, fmt.Sprintf("%.1f", r.Cost), fmt.Sprintf("%.1f", r.Idle), fmt.Sprintf("%.1f", r.Switch), fmt.Sprintf("%.1f", r.WaitHours),
		fmt.Sprintf("%.2f", r.WaitP50), fmt.Sprintf("%.2f", r.WaitP99), fmt.Sprintf("%.1f", r.WaitP999), fmt.Sprintf("%.2f%%", 100*r.Over10),
		fmt.Sprintf("%.2f%%", 100*r.Models10), r.Resumes, r.ColdStarts, sizes,
	}
}
