//go:build !linux

package slot

func oomKills() (kills uint64, known bool) { return 0, false }
