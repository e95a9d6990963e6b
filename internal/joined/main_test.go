package joined_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestMain has the servers' files lie in memory: what they do to a disk is simulated.
func TestMain(m *testing.M) {
	storetest.InMemory()
	goleak.VerifyTestMain(m)
}
