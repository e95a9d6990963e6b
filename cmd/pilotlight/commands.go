package main

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// cli is the command line, one field a command. Its order is that of the help, and so is that of the groups.
//
// Every command that prints data has --json. An argument or flag that names something of a server says so by the tag complete (names.go): from it come
// completion and what a mistyped name may have meant. What a command is for is shown by its lines in examples.go.
type cli struct {
	Dev      devCmd      `cmd:"" group:"Servers:" help:"Run everything on this machine: router, embedded back end, simulated engines."`
	Serve    serveCmd    `cmd:"" group:"Servers:" help:"Run the router and control plane from a config file."`
	Slot     slotCmd     `cmd:"" group:"Servers:" help:"Supervise the engines of a pool's Nomad allocation."`
	Top      topCmd      `cmd:"" group:"What runs:" help:"Watch models, GPUs and queues live."`
	Model    modelCmd    `cmd:"" group:"What runs:" help:"Models: what is hot, and why."`
	Pool     poolCmd     `cmd:"" group:"What runs:" help:"Pools: GPUs that models share."`
	Server   serverCmd   `cmd:"" group:"What runs:" help:"Servers, and which of them leads."`
	Orphans  orphansCmd  `cmd:"" group:"What runs:" help:"What runs and is in nobody's care."`
	Org      orgCmd      `cmd:"" group:"Who may use it, and what it costs:" help:"Organisations: who pays."`
	Token    tokenCmd    `cmd:"" group:"Who may use it, and what it costs:" help:"Tokens: what callers authenticate with."`
	Usage    usageCmd    `cmd:"" group:"Who may use it, and what it costs:" help:"Usage and cost of a month, in UTC."`
	Invoice  invoiceCmd  `cmd:"" group:"Who may use it, and what it costs:" help:"Invoices of months, and whether they are true."`
	Correct  correctCmd  `cmd:"" group:"Who may use it, and what it costs:" help:"Take something off what a usage record costs."`
	Audit    auditCmd    `cmd:"" group:"Who may use it, and what it costs:" help:"Who has changed what."`
	Webhook  webhookCmd  `cmd:"" group:"Who may use it, and what it costs:" help:"Webhooks: endpoints that are sent usage and notices."`
	Config   configCmd   `cmd:"" group:"Files and stores:" help:"Config files."`
	Job      jobCmd      `cmd:"" group:"Files and stores:" help:"Nomad jobs."`
	Store    storeCmd    `cmd:"" group:"Files and stores:" help:"The store of usage records."`
	Simulate simulateCmd `cmd:"" group:"Measuring:" help:"Run policies over a trace in virtual time; no server needed."`
	Bench    benchCmd    `cmd:"" group:"Measuring:" help:"Measure a server from its callers' side; any that speaks the OpenAI API."`

	Completion completionCmd `cmd:"" group:"This program:" help:"Print the completion script of a shell."`
	Man        manCmd        `cmd:"" group:"This program:" help:"Write the manual pages."`
	Version    versionCmd    `cmd:"" group:"This program:" help:"Print the version."`

	VersionFlag versionFlag `name:"version" help:"Print the version."`
}

// newParser makes the parser of the command line. exit is called where the parser itself has done what was asked, such as printing help.
func newParser(env *Env, exit func(int)) *kong.Kong {
	parser, err := kong.New(new(cli),
		kong.Name("pilotlight"),
		kong.Description("Serverless, scale-to-zero inference: models start when they are asked for, and organisations pay for request time only."),
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(exit),
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"default_addr": defaultAdminURL, "default_api": defaultAPIURL},
		kong.Bind(env),
	)
	if err != nil {
		panic(fmt.Errorf("a tag of the command line is wrong: %w", err))
	}
	return parser
}
