package nomad

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestStops_AreForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := New(Config{Cluster: "c"})
		if err != nil {
			t.Fatal(err)
		}
		n.rememberStop("old")
		time.Sleep(rememberFor)
		n.rememberStop("middle")
		if !n.wasStopped("old") || !n.wasStopped("middle") || n.wasStopped("never") {
			t.Errorf("%v are remembered, want old and middle", n.stopped)
		}
		time.Sleep(time.Second)
		n.rememberStop("new")
		if n.wasStopped("old") || !n.wasStopped("middle") || !n.wasStopped("new") {
			t.Errorf("%v are remembered, want middle and new", n.stopped)
		}
	})
}
