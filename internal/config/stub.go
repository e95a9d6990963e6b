package config

import "github.com/pilotlight-io/pilotlight/internal/fleet"

// Parse validates src, a file called name. Its error is a Mistakes.
func (o Options) Parse(name string, src []byte) (*Config, error) { panic("unfinished") }

// Default is the Config of an empty file in the current directory, of which it shares nothing: the caller may change it.
func Default() *Config { return Options{BaseDir: "."}.Default() }

// Default is the Config of an empty file.
func (o Options) Default() *Config { panic("unfinished") }

// Catalogue returns the eight published models, as fresh copies that the caller may change.
func Catalogue() []*fleet.Model { return Options{}.Catalogue() }

// Catalogue returns the eight published models, as fresh copies that the caller may change.
func (o Options) Catalogue() []*fleet.Model { panic("unfinished") }

// Simulated returns copies of models with their engines replaced by the simulator, args (such as --sim-speed 20) appended to theirs.
func Simulated(models []*fleet.Model, args ...string) []*fleet.Model { panic("unfinished") }
