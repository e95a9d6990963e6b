package nomad

import (
	"fmt"
	"net/http"
	"strings"
)

// The rights that the back end's token needs, as ACL policies name them; nomad-jobs/policies has them all.
const (
	readJob   = "read-job in the namespace"
	listJobs  = "list-jobs in the namespace"
	submitJob = "submit-job in the namespace"
	readNode  = `node { policy = "read" }`
)

// needs says which right is missing where Nomad says only that one is. It says no more of a token that it does not know.
func needs(err error, right string) error {
	if status, text := refusal(err); status == http.StatusForbidden && strings.Contains(text, "Permission denied") {
		return fmt.Errorf("the token lacks the right %s, or does not exist: %w", right, err)
	}
	return err
}
