package nomad

import (
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// These are Nomad's objects with what of them is needed, as its lists and its events have them.

// job is the job of an instance or of a slot.
type job struct {
	ID, Namespace                            string
	Stop                                     bool
	Meta                                     map[string]string
	CreateIndex, ModifyIndex, JobModifyIndex uint64
	TaskGroups                               []taskGroup // nil in a list of jobs

	spec *fleet.Spec // read of Meta once
}

type taskGroup struct {
	Name  string
	Count int
	Tasks []struct{ Resources resources }
}

type resources struct {
	CPU, MemoryMB int
	Devices       []struct {
		Name  string
		Count int
	}
}

func (j *job) instance() string { return j.Meta[metaInstance] }
func (j *job) slot() string     { return j.Meta[metaSlot] }

// label names the group, the task and the main port's owner of the job.
func (j *job) label() string {
	if j.instance() != "" {
		return label
	}
	return slotLabel
}

// group is the job's only one; nil = not known, or there is none of that name.
func (j *job) group() *taskGroup {
	for k := range j.TaskGroups {
		if j.TaskGroups[k].Name == j.label() {
			return &j.TaskGroups[k]
		}
	}
	return nil
}

// modified reports whether the job was submitted again or scaled, which only people do.
func (j *job) modified() bool { return j.JobModifyIndex > j.CreateIndex }

// demand is what a job wants of one node. Zero = not known.
type demand struct {
	gpus   int
	memory fleet.Bytes
	cpu    int // MHz
}

func (j *job) demand() demand {
	var d demand
	g := j.group()
	if g == nil {
		return d
	}
	for k := range g.Tasks {
		r := &g.Tasks[k].Resources
		d.memory, d.cpu = d.memory+fleet.Bytes(r.MemoryMB)<<20, d.cpu+r.CPU
		for _, device := range r.Devices {
			if strings.HasPrefix(device.Name, "nvidia/gpu") {
				d.gpus += device.Count
			}
		}
	}
	return d
}

type allocation struct {
	ID, Namespace, JobID, NodeID      string
	DesiredStatus, DesiredDescription string
	ClientStatus, ClientDescription   string
	CreateIndex, ModifyIndex          uint64
	AllocatedResources                *struct {
		Tasks  map[string]struct{ Devices []device }
		Shared struct{ Ports []api.PortMapping }
	}
	TaskStates map[string]*taskState
}

type taskState struct {
	State    string
	Restarts int
	Events   []taskEvent
}

type taskEvent struct {
	Type, DisplayMessage, DriverMessage string
	FailsTask                           bool
	Details                             struct {
		ExitCode  string `json:"exit_code"`
		Signal    string `json:"signal"`
		OOMKilled string `json:"oom_killed"`
	}
}

type device struct {
	Vendor, Type string
	DeviceIDs    []string                 // of an allocation
	Instances    []struct{ Healthy bool } // of a node
}

func (d *device) isGPU() bool { return d.Vendor == "nvidia" && d.Type == "gpu" }

// ended reports whether the allocation holds nothing any more.
func (a *allocation) ended() bool {
	switch a.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

// wanted reports whether Nomad wants the allocation to run.
func (a *allocation) wanted() bool { return a.DesiredStatus == api.AllocDesiredStatusRun }

// gpus counts the GPUs of an allocation.
func (a *allocation) gpus() int {
	count := 0
	if a.AllocatedResources == nil {
		return 0
	}
	for _, task := range a.AllocatedResources.Tasks {
		for k := range task.Devices {
			if task.Devices[k].isGPU() {
				count += len(task.Devices[k].DeviceIDs)
			}
		}
	}
	return count
}

// addr gives the address of a port; "" = there is none yet.
func (a *allocation) addr(port string) string {
	if a.AllocatedResources == nil {
		return ""
	}
	for _, p := range a.AllocatedResources.Shared.Ports {
		if p.Label == port {
			return net.JoinHostPort(p.HostIP, strconv.Itoa(p.Value))
		}
	}
	return ""
}

type node struct {
	ID, Name, Datacenter, NodePool string
	Status, SchedulingEligibility  string
	Drain                          bool
	NodeResources                  *struct {
		Cpu     struct{ CpuShares int }
		Memory  struct{ MemoryMB int }
		Devices []device
	}
	ReservedResources *struct {
		Cpu    struct{ CpuShares int }
		Memory struct{ MemoryMB int }
	}
	CreateIndex, ModifyIndex uint64
}

// gpus counts the GPUs of a node that are in order, and all of them.
func (n *node) gpus() (healthy, all int) {
	if n.NodeResources == nil {
		return 0, 0
	}
	for k := range n.NodeResources.Devices {
		d := &n.NodeResources.Devices[k]
		if !d.isGPU() {
			continue
		}
		for _, i := range d.Instances {
			all++
			if i.Healthy {
				healthy++
			}
		}
	}
	return healthy, all
}

// condition says what a node is fit for.
func (n *node) condition() fleet.Condition {
	switch {
	case n.Status != api.NodeStatusReady:
		return fleet.PlaceUnreachable
	case n.Drain:
		return fleet.PlaceDraining
	case n.SchedulingEligibility != api.NodeSchedulingEligible:
		return fleet.PlaceIneligible
	default:
		return fleet.PlaceHealthy
	}
}

// evaluation is one try to place a job.
type evaluation struct {
	ID, JobID, Namespace string
	ModifyIndex          uint64
	FailedTGAllocs       map[string]*placement
}

// placement says of how many nodes each hindrance to a group was true.
type placement struct {
	NodesExhausted     int
	ConstraintFiltered map[string]int
	DimensionExhausted map[string]int
	QuotaExhausted     []string
}
