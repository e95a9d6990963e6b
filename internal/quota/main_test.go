package quota_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

// TestMain has more tests run at once than there are cores: those that are parallel wait, and compute next to nothing.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // -parallel, which is read later, beats it
	goleak.VerifyTestMain(storetest.OnBoth(m))
}
