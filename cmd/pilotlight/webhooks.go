package main

import (
	"context"
	"fmt"

	"github.com/pilotlight-io/pilotlight/internal/webhook"
)

// openWebhooks makes the sender of the config's webhooks, whose secrets are in the environment.
func (s *server) openWebhooks(ctx context.Context) (err error) {
	c := webhook.Config{Cluster: s.c.Config.Cluster, Records: s.ledger, Store: s.store, Log: s.log("webhooks")}
	for _, w := range s.c.Config.Webhooks {
		secret := s.c.Getenv(w.SecretEnv)
		if secret == "" {
			return fmt.Errorf("%s is not set; it must hold the secret of webhook %q, as its secret_env says", w.SecretEnv, w.Name)
		}
		c.Webhooks = append(c.Webhooks, webhook.Webhook{
			Name: w.Name, URL: w.URL, Secret: secret, Events: w.Events, Format: webhook.Format(w.Format), Customers: w.Customers,
		})
	}
	s.webhooks, err = webhook.New(ctx, c)
	return err
}

// webhookCmd holds the commands about webhooks.
type webhookCmd struct {
	List   webhookListCmd   `cmd:"" help:"List webhooks, and how each is."`
	Resume webhookResumeCmd `cmd:"" help:"Have a webhook send again, from where it stopped or from elsewhere."`
}

type webhookListCmd struct {
	serverFlags
	jsonFlag
}

// Run lists all webhooks of the server's config.
func (c webhookListCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	webhooks, err := client.Webhooks(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, webhooks)
	}
	t := newTable("NAME", "STATE", "SINCE", ">FAILURES", "FORMAT", "URL", "REASON")
	for _, w := range webhooks {
		t.row(w.Name, w.State, shortTime(w.Since), w.Failures, w.Format, w.URL, w.Reason)
	}
	return t.write(env.Stdout)
}

type webhookResumeCmd struct {
	Name string `arg:"" complete:"webhook" help:"As webhook list shows it."`
	From string `placeholder:"WHERE" help:"start: with the first record that is kept; now: what was not sent never is; or the ID of a record: after it. Else where it stopped."`
	serverFlags
	jsonFlag
}

// Run has the webhook send again. What has ended until now is sent, however old it is.
func (c webhookResumeCmd) Run(env *Env) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	w, err := client.ResumeWebhook(env.ctx, c.Name, c.From)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(env.Stdout, w)
	}
	fmt.Fprintf(env.Stderr, "webhook %s sends again\n", w.Name)
	return nil
}
