package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// healthEvery is how often the file of unhealthy devices is looked at.
const healthEvery = 250 * time.Millisecond

// config is the plugin block's config.
type config struct {
	Count         int    `codec:"count"`
	Model         string `codec:"model"`
	MemoryMiB     int64  `codec:"memory_mib"`
	IDPrefix      string `codec:"id_prefix"`
	UnhealthyFile string `codec:"unhealthy_file"`
}

// plugin implements device.DevicePlugin. Nomad sets the config once, before anything else.
type plugin struct {
	config config
}

func (p *plugin) PluginInfo() (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{
		Type:              base.PluginTypeDevice,
		PluginApiVersions: []string{device.ApiVersion010},
		PluginVersion:     "v1.0.0-simulated",
		Name:              "nvidia-gpu",
	}, nil
}

func (p *plugin) ConfigSchema() (*hclspec.Spec, error) {
	attribute := func(name, kind, fallback string) *hclspec.Spec {
		return hclspec.NewDefault(hclspec.NewAttr(name, kind, false), hclspec.NewLiteral(fallback))
	}
	return hclspec.NewObject(map[string]*hclspec.Spec{
		"count":          attribute("count", "number", "8"),
		"model":          attribute("model", "string", `"NVIDIA H100 80GB HBM3"`),
		"memory_mib":     attribute("memory_mib", "number", "81559"),
		"id_prefix":      attribute("id_prefix", "string", `"GPU-simulated"`),
		"unhealthy_file": attribute("unhealthy_file", "string", `""`),
	}), nil
}

func (p *plugin) SetConfig(c *base.Config) error {
	if err := base.MsgPackDecode(c.PluginConfig, &p.config); err != nil {
		return fmt.Errorf("decoding the plugin's config: %w", err)
	}
	return nil
}

// Fingerprint sends the devices at once (an agent waits 50 s for a plugin that sends nothing), and again whenever the
// health of one has changed.
func (p *plugin) Fingerprint(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
	out := make(chan *device.FingerprintResponse)
	go func() {
		defer close(out)
		ticker := time.NewTicker(healthEvery)
		defer ticker.Stop()
		for last, first := []string(nil), true; ; first = false {
			if unhealthy := p.unhealthy(); first || !slices.Equal(unhealthy, last) {
				last = unhealthy
				select {
				case out <- device.NewFingerprint(p.group(unhealthy)):
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Reserve answers with the environment variable that the nvidia container runtime reads.
func (p *plugin) Reserve(ids []string) (*device.ContainerReservation, error) {
	for _, id := range ids {
		if !slices.Contains(p.ids(), id) {
			return nil, fmt.Errorf("reserving %q: this node has no such device", id)
		}
	}
	return &device.ContainerReservation{Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(ids, ",")}}, nil
}

// Stats sends the memory of each device, as the real plugin's summary does.
func (p *plugin) Stats(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
	out := make(chan *device.StatsResponse)
	go func() {
		defer close(out)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case out <- p.stats(time.Now()):
			case <-ctx.Done():
				return
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (p *plugin) ids() []string {
	out := make([]string, p.config.Count)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%02d", p.config.IDPrefix, i)
	}
	return out
}

// unhealthy reads the numbers of the devices that the operator of the simulation has broken.
func (p *plugin) unhealthy() []string {
	if p.config.UnhealthyFile == "" {
		return nil
	}
	b, err := os.ReadFile(p.config.UnhealthyFile)
	if err != nil {
		return nil // no file: all are well
	}
	var out []string
	for _, number := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(number); err == nil {
			out = append(out, fmt.Sprintf("%s-%02d", p.config.IDPrefix, n))
		}
	}
	return out
}

func (p *plugin) group(unhealthy []string) *device.DeviceGroup {
	group := &device.DeviceGroup{
		Vendor: "nvidia", Type: device.DeviceTypeGPU, Name: p.config.Model,
		Attributes: map[string]*structs.Attribute{
			"memory":           structs.NewIntAttribute(p.config.MemoryMiB, structs.UnitMiB),
			"bar1":             structs.NewIntAttribute(131072, structs.UnitMiB),
			"power":            structs.NewIntAttribute(700, structs.UnitW),
			"cores_clock":      structs.NewIntAttribute(1980, structs.UnitMHz),
			"memory_clock":     structs.NewIntAttribute(2619, structs.UnitMHz),
			"pci_bandwidth":    structs.NewIntAttribute(63015, structs.UnitMBPerS),
			"driver_version":   structs.NewStringAttribute("575.57.08"),
			"display_state":    structs.NewStringAttribute("Disabled"),
			"persistence_mode": structs.NewStringAttribute("Enabled"),
		},
	}
	for _, id := range p.ids() {
		d := &device.Device{ID: id, Healthy: !slices.Contains(unhealthy, id)}
		if !d.Healthy {
			d.HealthDesc = "simulated failure"
		}
		group.Devices = append(group.Devices, d)
	}
	return group
}

func (p *plugin) stats(now time.Time) *device.StatsResponse {
	group := &device.DeviceGroupStats{Vendor: "nvidia", Type: device.DeviceTypeGPU, Name: p.config.Model, InstanceStats: map[string]*device.DeviceStats{}}
	for _, id := range p.ids() {
		group.InstanceStats[id] = &device.DeviceStats{
			Summary: &structs.StatValue{
				IntNumeratorVal: new(int64), IntDenominatorVal: &p.config.MemoryMiB, Unit: structs.UnitMiB, Desc: "used / total memory (simulated)",
			},
			Timestamp: now,
		}
	}
	return &device.StatsResponse{Groups: []*device.DeviceGroupStats{group}}
}
