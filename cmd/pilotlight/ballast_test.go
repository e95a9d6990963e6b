package main

import "testing"

func TestBallast_OnlyWhereTheOperatorSetNoGoal(t *testing.T) {
	for name, want := range map[string]int{"": ballastSize, "GOGC": 0, "GOMEMLIMIT": 0} {
		set := func(asked string) string {
			if asked == name {
				return "200"
			}
			return ""
		}
		if got := len(newBallast(set)); got != want {
			t.Errorf("with %q set: got %d bytes, want %d", name, got, want)
		}
	}
}
