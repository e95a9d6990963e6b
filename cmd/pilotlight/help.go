package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// printHelp prints the parser's help of a command, and the command's examples under it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil || options.Summary {
		return err
	}
	return printExamples(ctx.Stdout, commandName(ctx))
}

func printExamples(w io.Writer, command string) error {
	shown := examples[command]
	if len(shown) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("\nExamples:\n")
	for _, e := range shown {
		fmt.Fprintf(&text, "  # %s\n  %s\n", e.does, e.line)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
