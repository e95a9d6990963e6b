package main

import (
	"fmt"
	"strings"
)

// notYetCmd stands for a command that the contract names and a later version brings. It takes any arguments.
type notYetCmd struct {
	Args []string `arg:"" optional:"" help:"Ignored."`
}

// Run says so.
func (notYetCmd) Run(env *Env) error {
	name, _, _ := strings.Cut(env.command, " ")
	return notAvailable("the command " + name)
}

// notAvailable is the answer to what the contract names and this version does not do.
func notAvailable(what string) error {
	return fmt.Errorf("%s is not available in this version", what)
}
