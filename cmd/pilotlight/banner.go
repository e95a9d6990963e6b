package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
)

// greeted is the model of the curl line, where the server has it: one GPU, the fastest start.
const greeted = "meta-llama/Meta-Llama-3.1-8B-Instruct"

// banner is what dev says on stdout once it can be called: all that is needed for a first request.
type banner struct {
	API       string   `json:"api"`     // base URL for OpenAI clients
	Admin     string   `json:"admin"`   // base URL of the admin API
	Console   string   `json:"console"` // signs the browser in that opens it first
	Token     string   `json:"token"`
	DataDir   string   `json:"data_dir"`
	Models    []string `json:"models"`
	Real      []string `json:"real"`      // of them, those whose engines are real
	Simulated bool     `json:"simulated"` // some engines are
	SimSpeed  float64  `json:"sim_speed"`
	Curl      string   `json:"curl"`
}

func newBanner(s *server, secret string, dir string, speed float64) banner {
	b := banner{
		API:     baseOf(s.c.API, s.c.Certs.api) + "/v1",
		Admin:   baseOf(s.c.Admin, s.c.Certs.admin),
		Console: baseOf(s.c.Admin, s.c.Certs.admin) + s.console.SignInLink(secret),
		Token:   secret, DataDir: dir, SimSpeed: speed,
	}
	b = b.of(s.c.Config.Models)
	b.Curl = curlLine(b.API, secret, greetedOf(s.c.Config.Models))
	return b
}

// of gives the banner of these models.
func (b banner) of(models []*fleet.Model) banner {
	b.Real = []string{} // JSON shows an empty array, never null
	for _, m := range models {
		b.Models = append(b.Models, m.ID)
		if m.Engine.Kind == fleet.EngineSim {
			b.Simulated = true
		} else {
			b.Real = append(b.Real, m.ID)
		}
	}
	return b
}

// greetedOf picks the model of the curl line: a real one before any that is simulated.
func greetedOf(models []*fleet.Model) string {
	for _, m := range models {
		if m.Engine.Kind != fleet.EngineSim {
			return m.ID
		}
	}
	for _, m := range models {
		if m.ID == greeted {
			return m.ID
		}
	}
	return models[0].ID
}

// curlLine is one line that a shell takes as it is.
func curlLine(api, token, model string) string {
	body := fmt.Sprintf(`{"model": %s, "stream": true, "max_tokens": 200, "messages": [{"role": "user", "content": "What is a pilot light?"}]}`, strconv.Quote(model))
	return fmt.Sprintf(`curl -N %s/chat/completions -H "Authorization: Bearer %s" -H "Content-Type: application/json" -d '%s'`, api, token, body)
}

// engines says whose answers are real.
func (b banner) engines() string {
	const madeUp = "their answers are made up, and no GPU is used.\n"
	switch {
	case len(b.Real) == 0:
		return fmt.Sprintf("Engines are simulated, %g times faster than life: %s", b.SimSpeed, madeUp)
	case !b.Simulated:
		return "All engines are real.\n"
	case len(b.Real) == 1:
		return fmt.Sprintf("%s is real. All other engines are simulated, %g times faster than life: %s", b.Real[0], b.SimSpeed, madeUp)
	}
	return fmt.Sprintf("%s are real. All other engines are simulated, %g times faster than life: %s", strings.Join(b.Real, ", "), b.SimSpeed, madeUp)
}

func (b banner) print(env *Env, asJSON bool) error {
	if asJSON {
		return writeJSON(env.Stdout, b)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "API     %s\n", b.API)
	fmt.Fprintf(&text, "admin   %s\n", b.Admin)
	fmt.Fprintf(&text, "console %s\n", b.Console)
	fmt.Fprintf(&text, "token   %s\n", b.Token)
	fmt.Fprintf(&text, "data    %s\n", b.DataDir)
	fmt.Fprintf(&text, "models  %s\n", strings.Join(b.Models, "\n        "))
	text.WriteString("\n" + b.engines())
	fmt.Fprintf(&text, "Try it; the first request starts the model:\n\n%s\n\n", b.Curl)
	_, err := fmt.Fprint(env.Stdout, text.String())
	return err
}
