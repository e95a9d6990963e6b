package nomad

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// The meta of a job that is ours: whoever submits a job writes it, whoever watches reads it.
const (
	metaCluster  = "pilotlight_cluster"
	metaModel    = "pilotlight_model"    // of an instance
	metaInstance = "pilotlight_instance" // of an instance
	metaPool     = "pilotlight_pool"     // of a slot
	metaSlot     = "pilotlight_slot"     // of a slot
	metaSpec     = "pilotlight_spec"     // what an instance or a slot was launched with, a fleet.Spec or a slotSpec in JSON; absent in jobs by hand
	metaAPI      = "pilotlight_api"      // of a slot: tls = its supervisor speaks that; absent in jobs of before it did
	metaTerm     = "pilotlight_term"     // of the server that submitted the job, in decimal; absent in jobs by hand
)

// apiTLS is what a slot's job says whose supervisor speaks TLS.
const apiTLS = "tls"

// formatSpec writes what an instance is launched with, as parseSpec reads it.
func formatSpec(s *fleet.Spec) (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("writing the spec: %w", err)
	}
	return string(text), nil
}

// parseSpec reads what an instance was launched with; nil = its job does not say.
func parseSpec(meta map[string]string) *fleet.Spec {
	var s fleet.Spec
	if text := meta[metaSpec]; text == "" || json.Unmarshal([]byte(text), &s) != nil {
		return nil
	}
	return &s
}

// formatTerm writes the term of a server as parseTerm reads it.
func formatTerm(term uint64) string { return strconv.FormatUint(term, 10) }

// parseTerm reads the term of the server that submitted a job; 0 = the job does not say.
func parseTerm(meta map[string]string) uint64 {
	term, err := strconv.ParseUint(meta[metaTerm], 10, 64)
	if err != nil {
		return 0
	}
	return term
}
