package dialect_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGolden_AgainstTheTypesOfTheSDKs holds what the golden files have as answers against the types of the SDKs that cmd/pilotlight/testdata/clients/install installs.
func TestGolden_AgainstTheTypesOfTheSDKs(t *testing.T) {
	for dialect, env := range map[string]string{"responses": "openai", "messages": "anthropic"} {
		t.Run(dialect, func(t *testing.T) {
			python := filepath.Join(os.Getenv("PILOTLIGHT_CLIENTS"), env, "bin", "python")
			if _, err := os.Stat(python); err != nil {
				const missing = "the stock clients are not installed; run cmd/pilotlight/testdata/clients/install DIR, and set PILOTLIGHT_CLIENTS to DIR, an absolute path"
				if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
					t.Fatal(missing)
				}
				t.Skip(missing)
			}
			if out, err := exec.CommandContext(t.Context(), python, "testdata/sdktypes.py", dialect, "testdata/golden").CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
