package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pilotlight-io/pilotlight/internal/admin"
	"github.com/pilotlight-io/pilotlight/internal/invoice"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// invoiceCmd holds the commands about invoices.
type invoiceCmd struct {
	List     invoiceListCmd     `cmd:"" help:"List closed invoices, and say which months are not closed."`
	Show     invoiceShowCmd     `cmd:"" help:"Show an invoice; of a month that is not closed, what it would be now."`
	Close    invoiceCloseCmd    `cmd:"" help:"Close a month: one invoice for each organisation that has used something."`
	Receipts invoiceReceiptsCmd `cmd:"" help:"Print the records of a closed invoice, one JSON object a line."`
	Verify   invoiceVerifyCmd   `cmd:"" help:"Check receipts, and an invoice against them; no server needed."`
}

type invoiceListCmd struct {
	Org   string `placeholder:"NAME" complete:"org" help:"Only this organisation's."`
	Month string `placeholder:"YYYY-MM" complete:"month" help:"Only those of this month."`
	serverFlags
	jsonFlag
}

// Run lists the invoices, newest first.
func (c invoiceListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	all := []admin.Invoice{} // JSON shows an empty array, never null
	for cursor := ""; ; {
		page, err := client.Invoices(env.ctx, c.Org, c.Month, cursor, 0)
		if err != nil {
			return err
		}
		all = append(all, page.Invoices...)
		if page.NextCursor == nil {
			if len(page.OpenMonths) > 0 {
				env.say("not closed: %s", listOr(page.OpenMonths, ""))
			}
			break
		}
		cursor = *page.NextCursor
	}
	if c.JSON {
		return writeJSON(env.Stdout, all)
	}
	return invoiceTable(all).write(env.Stdout)
}

func invoiceTable(all []admin.Invoice) *table {
	t := newTable(">NUMBER", "MONTH", "ORG", ">TOTAL USD", ">PAYABLE USD", "CLOSED", "BY")
	for _, i := range all {
		t.row(*i.Number, i.Month, i.Org, i.TotalUSD, i.Payable, shortTime(&admin.Time{Time: i.ClosedAt.Time}), i.ClosedBy)
	}
	return t
}

type invoiceShowCmd struct {
	Org   string `arg:"" complete:"org" help:"Whose it is."`
	Month string `arg:"" complete:"month" help:"Its month, YYYY-MM, in UTC."`
	HTML  string `name:"html" complete:"file" placeholder:"FILE" help:"Write it as one HTML page that prints well; - for standard output."`
	serverFlags
	jsonFlag
}

// Run shows one invoice.
func (c invoiceShowCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	i, err := client.Invoice(env.ctx, c.Org, c.Month)
	if err != nil {
		return err
	}
	switch {
	case c.HTML == "-":
		return invoice.Page(env.Stdout, i)
	case c.HTML != "":
		return writePage(c.HTML, i)
	case c.JSON:
		return writeJSON(env.Stdout, i)
	}
	if i.State == ledger.InvoiceOpen {
		env.say("%s is not closed; this is what its invoice would be now", i.Month)
	}
	return linesTable(i).write(env.Stdout)
}

// writePage writes an invoice's page to a file that only its owner can read.
func writePage(path string, i *admin.Invoice) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(invoice.Page(f, i), f.Close())
}

// linesTable has a line for each of the invoice's, and what they come to.
func linesTable(i *admin.Invoice) *table {
	t := newTable("MODEL", ">RECORDS", ">BILLED S", ">GPU S", ">USD/GPU-HOUR", ">COST USD", "NOTE")
	for _, l := range i.Lines {
		t.row(l.Model, l.Records, seconds(l.BilledUS), seconds(l.GPUUS), l.Price, l.Cost, cmp.Or(l.Note, " "))
	}
	t.row("total", " ", " ", " ", " ", i.TotalUSD, " ")
	t.row("payable", " ", " ", " ", " ", i.Payable, "whole cents, rounded half to even")
	return t
}

type invoiceCloseCmd struct {
	Month   string `arg:"" complete:"month" help:"The month, YYYY-MM, in UTC. It has been over for an hour, and those before it are closed."`
	By      string `placeholder:"NAME" help:"Who closes it; $$USER if not given."`
	Confirm bool   `help:"The server's clock is right, though it is more than a day beyond what is known of the time."`
	Without bool   `name:"without-damaged" help:"Close it though some records cannot be read: nobody pays for those."`
	serverFlags
	jsonFlag
}

// Run closes the month and prints its invoices.
func (c invoiceCloseCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	closed, err := client.CloseMonth(env.ctx, admin.Closing{Month: c.Month, By: cmp.Or(c.By, env.Getenv("USER")), Confirm: c.Confirm, WithoutDamaged: c.Without})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, closed)
	}
	if closed.Already {
		env.say("%s was closed before, on %s by %s", closed.Month, shortTime(&closed.ClosedAt), closed.ClosedBy)
	}
	if len(closed.Invoices) == 0 {
		env.say("%s is closed; nobody has used anything", closed.Month)
		return nil
	}
	return invoiceTable(closed.Invoices).write(env.Stdout)
}

type invoiceReceiptsCmd struct {
	Org   string `arg:"" complete:"org" help:"Whose invoice it is."`
	Month string `arg:"" complete:"month" help:"Its month, YYYY-MM, in UTC."`
	serverFlags
}

// Run prints the records as JSON lines.
func (c invoiceReceiptsCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	return eachPage(env.ctx, func(ctx context.Context, cursor string) (*string, error) {
		page, err := client.Receipts(ctx, c.Org, c.Month, cursor, 1000)
		if err != nil {
			return nil, err
		}
		out := json.NewEncoder(env.Stdout)
		out.SetEscapeHTML(false)
		for _, r := range page.Records {
			if err := out.Encode(r); err != nil {
				return nil, err
			}
		}
		return page.NextCursor, nil
	})
}

// eachPage asks for page after page, each with the cursor that the one before has given.
func eachPage(ctx context.Context, ask func(ctx context.Context, cursor string) (next *string, err error)) error {
	for cursor := ""; ; {
		next, err := ask(ctx, cursor)
		if next == nil || err != nil {
			return err
		}
		cursor = *next
	}
}

type invoiceVerifyCmd struct {
	Receipts string `arg:"" complete:"file" help:"File of records, one JSON object a line, as invoice receipts prints them; - for standard input."`
	Invoice  string `placeholder:"FILE" complete:"file" help:"The invoice that they are to add up to, as invoice show --json prints it."`
	jsonFlag
}

// Run checks receipts. What is wrong is said with its line, and the exit status is 2.
func (c invoiceVerifyCmd) Run(env *Env) error {
	i, err := c.invoice()
	if err != nil {
		return err
	}
	in, name := env.Stdin, "standard input"
	if c.Receipts != "-" {
		f, err := os.Open(c.Receipts)
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, c.Receipts
	}
	env.doing("checking receipts")
	report, err := invoice.Verify(in, i)
	if err != nil {
		return err
	}
	if err := c.print(env, report, name); err != nil {
		return err
	}
	if n := len(report.Problems); n > 0 {
		return exitError{fmt.Errorf("%s; %s in all", report.Problems[0].In(name), plural(n, "problem")), 2}
	}
	return nil
}

func (c invoiceVerifyCmd) invoice() (*ledger.Invoice, error) {
	if c.Invoice == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Invoice)
	if err != nil {
		return nil, err
	}
	i := new(ledger.Invoice)
	if err := json.Unmarshal(text, i); err != nil || i.Org == "" || i.Month == "" {
		return nil, fmt.Errorf("%s is no invoice: it must be one JSON object, as `pilotlight invoice show ORG MONTH --json` prints it", c.Invoice)
	}
	return i, nil
}

func (c invoiceVerifyCmd) print(env *Env, r *invoice.Report, name string) error {
	if c.JSON {
		return writeJSON(env.Stdout, r)
	}
	t := newTable(">RECORDS", ">BILLED", ">TOTAL USD", ">PAYABLE USD", ">CHAINS", ">PROBLEMS")
	t.row(r.Records, r.Billed, r.TotalUSD, r.Payable, len(r.Chains), len(r.Problems))
	if err := t.write(env.Stdout); err != nil {
		return err
	}
	for _, note := range r.Notes {
		env.say("%s", note)
	}
	_, err := io.WriteString(env.Stderr, r.Text(name))
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
