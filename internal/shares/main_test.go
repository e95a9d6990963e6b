package shares_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pilotlight-io/pilotlight/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.OnBoth(m)) }
