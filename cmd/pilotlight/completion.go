package main

import (
	"embed"
)

//go:embed completion
var completionScripts embed.FS

// completionCmd prints the script with which a shell completes commands, flags and names.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Run prints the script, which asks this program for the words: it need not be made anew when commands change.
func (c completionCmd) Run(env *Env) error {
	script, err := completionScripts.ReadFile("completion/pilotlight." + c.Shell)
	if err != nil {
		return err
	}
	_, err = env.Stdout.Write(script)
	return err
}
