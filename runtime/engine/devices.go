package engine

import (
	"hipc/runtime"
	"hipc/runtime/cpu"
	"hipc/runtime/cuda"
	"hipc/runtime/gpu"
	"hipc/runtime/hip"
	"hipc/runtime/plan"
	"hipc/runtime/sim"
)

// A Device is a kind of device: one that plans are for, or one that can do without it.
type Device struct {
	Name  string
	Code  string // the device of the plans that it runs; "": of all, for it interprets their graph
	About string // in a word or two
	open  func(o Options, target string) (runtime.Device, error)
	cards func() ([]gpu.Card, error) // nil: a machine always has it
}

// Devices are the kinds that there are. Of those that a machine has the first is taken, and what runs another one's code only if it's
// asked for. The reference isn't the engine's to open: that would link the compiler's graph into every server.
var Devices = []Device{
	{"hip", "hip", "AMD", func(o Options, target string) (runtime.Device, error) { return hip.Open(o.card(target)) }, hip.Cards},
	{"cuda", "cuda", "NVIDIA", func(o Options, target string) (runtime.Device, error) { return cuda.Open(o.card(target)) }, cuda.Cards},
	{"cpu", "cpu", "", func(o Options, _ string) (runtime.Device, error) { return cpu.Open(cpu.Options{Threads: o.Threads}) }, nil},
	{"sim", "hip", "AMD code, executed by the cpu", func(Options, string) (runtime.Device, error) { return sim.Open(sim.Options{}) }, nil},
	{"reference", "", "the oracle", nil, nil},
}

// DeviceNamed finds a kind.
func DeviceNamed(name string) (*Device, bool) {
	for i := range Devices {
		if Devices[i].Name == name {
			return &Devices[i], true
		}
	}
	return nil, false
}

// DeviceNames lists the kinds for which which says true.
func DeviceNames(which func(*Device) bool) (names []string) {
	for i := range Devices {
		if which(&Devices[i]) {
			names = append(names, Devices[i].Name)
		}
	}
	return names
}

// Runs says whether it can run a plan.
func (d *Device) Runs(p *plan.Plan) bool { return d.Code == "" || d.Code == p.Device }

// StandsIn says that plans are for another device.
func (d *Device) StandsIn() bool { return d.Code != d.Name }

func (d *Device) opens() bool { return d.open != nil }

func (o Options) card(target string) gpu.Options {
	return gpu.Options{Target: target, Force: o.Force, Eager: o.Eager, Timeout: o.Timeout}
}

// A Found is a device that is here, or what is in the way of one.
type Found struct {
	Device, Name string
	Targets      []string // whose code it runs
	Err          error
}

// Here lists the devices of all kinds.
func Here() (list []Found) {
	for i := range Devices {
		d := &Devices[i]
		switch {
		case d.cards != nil:
			cards, err := d.cards()
			if err != nil {
				list = append(list, Found{Device: d.Name, Err: err})
			}
			for _, c := range cards {
				list = append(list, Found{Device: d.Name, Name: c.Name, Targets: []string{c.Target}})
			}
		case d.open != nil:
			f := Found{Device: d.Name}
			var x runtime.Device
			if x, f.Err = d.open(Options{}, ""); f.Err == nil {
				info := x.Info()
				f.Name, f.Targets, f.Err = info.Name, info.Targets, x.Close()
			}
			list = append(list, f)
		default:
			list = append(list, Found{Device: d.Name, Name: d.About, Targets: []string{"any target"}})
		}
	}
	return list
}
