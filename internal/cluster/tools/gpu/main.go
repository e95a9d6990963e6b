// Command nvidia-gpu is a Nomad device plugin that offers simulated H100s, for tests and demos on machines without one.
//
// It speaks the names of hashicorp/nomad-device-nvidia (vendor nvidia, type gpu, the same attributes with the same
// units), so that a job file written for real nodes is scheduled, exhausts the devices and releases them as it would there.
// It never touches hardware, and Reserve gives what the real plugin gives: NVIDIA_VISIBLE_DEVICES, and nothing else.
package main

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/device"
)

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, JSONFormat: true})
	device.Serve(&plugin{}, logger)
}
