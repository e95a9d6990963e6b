//go:build !race && linux

package socket

func ordersAfter(uintptr) {}

func ordersBefore(uintptr) {}
