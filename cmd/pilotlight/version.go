package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// versionCmd prints what this binary was built from.
type versionCmd struct {
	jsonFlag
}

// versionFlag is the same as a flag, as other programs have it.
type versionFlag bool

// BeforeReset is called by the parser, before it looks for a command.
func (versionFlag) BeforeReset(app *kong.Kong, env *Env) error {
	err := versionCmd{}.Run(env)
	app.Exit(0)
	return err
}

// version is what the build recorded about itself.
type version struct {
	Version  string `json:"version"`            // the module's version, or "devel"
	Revision string `json:"revision,omitempty"` // of the version control system
	Modified bool   `json:"modified,omitempty"` // the tree held changes that the revision does not
	Time     string `json:"time,omitempty"`     // of the revision
	Go       string `json:"go"`
}

// Run prints the version.
func (c versionCmd) Run(env *Env) error {
	v := readVersion()
	if c.JSON {
		return json.NewEncoder(env.Stdout).Encode(v)
	}
	line := "pilotlight " + v.Version
	if v.Revision != "" {
		line += fmt.Sprintf(" (%.12s", v.Revision)
		if v.Modified {
			line += ", modified"
		}
		line += ")"
	}
	_, err := fmt.Fprintln(env.Stdout, line, v.Go)
	return err
}

func readVersion() version {
	v := version{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
