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
	Simulated bool     `json:"simulated"` // some engines are
	SimSpeed  float64  `json:"sim_speed"`
	Curl      string   `json:"curl"`
}

func newBanner(s *server, secret string, dir string, speed float64) banner {
	b := banner{
		API:     "http://" + callable(s.c.API) + "/v1",
		Admin:   "http://" + callable(s.c.Admin),
		Console: "http://" + callable(s.c.Admin) + s.console.SignInLink(secret),
		Token:   secret, DataDir: dir, SimSpeed: speed,
	}
	for _, m := range s.c.Config.Models {
		b.Models = append(b.Models, m.ID)
		b.Simulated = b.Simulated || m.Engine.Kind == fleet.EngineSim
	}
	b.Curl = curlLine(b.API, secret, greetedOf(s.c.Config.Models))
	return b
}

// greetedOf picks the model of the curl line.
func greetedOf(models []*fleet.Model) string {
	for _, m := range models {
		if m.ID == greeted {
			return m.ID
		}
	}
	return models[0].ID
}

// curlLine is one line that a shell takes as it is.
func curlLine(api, token, model string) string {
	body := fmt.Sprintf(`{"model": %s, "stream": true, "messages": [{"role": "user", "content": "What is a pilot light?"}]}`, strconv.Quote(model))
	return fmt.Sprintf(`curl -N %s/chat/completions -H "Authorization: Bearer %s" -H "Content-Type: application/json" -d '%s'`, api, token, body)
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
	if b.Simulated {
		fmt.Fprintf(&text, "\nEngines are simulated, %g times faster than life: their answers are made up, and no GPU is used.\n", b.SimSpeed)
	}
	fmt.Fprintf(&text, "Try it; the first request starts the model:\n\n%s\n\n", b.Curl)
	_, err := fmt.Fprint(env.Stdout, text.String())
	return err
}
