package export_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pilotlight-io/pilotlight/internal/export"
)

// criteria are what of FOCUS applies to us, in the validator's words.
const criteria = "ACCOUNT_NAMING_SUPPORTED,PUBLIC_PRICE_LIST_SUPPORTED,USAGE_MEASUREMENT_SUPPORTED,UNIT_PRICING_SUPPORTED,SUB_ACCOUNT_SUPPORTED," +
	"BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED,RESOURCE_TYPE_ASSIGNMENT_SUPPORTED,NEGOTIATED_PRICING_SUPPORTED,MULTIPLE_PRICING_CATEGORIES_SUPPORTED"

// TestFOCUS_PassesTheOfficialValidator runs focus-validator of PyPI, which has the rules of 1.2 with it: none of a newer version have been released with it.
func TestFOCUS_PassesTheOfficialValidator(t *testing.T) {
	if testing.Short() {
		t.Skip("the validator takes 5 s a file")
	}
	validator := os.Getenv("PILOTLIGHT_FOCUS_VALIDATOR")
	if validator == "" {
		validator, _ = exec.LookPath("focus-validator")
	}
	if validator == "" {
		const install = "focus-validator is not installed: pip install focus-validator==2.2.1 (Python 3.12 or newer), or name it in PILOTLIGHT_FOCUS_VALIDATOR"
		if os.Getenv("PILOTLIGHT_REQUIRE") == "all" {
			t.Fatal(install)
		}
		t.Skip(install)
	}
	found, err := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(validator), "python"), "-c",
		"import pathlib, focus_validator; print(pathlib.Path(focus_validator.__file__).parent.parent)").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.TrimSpace(string(found))
	l, _ := history(t)
	validate := func(name string, text []byte) (failures []string, report string) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		run := exec.CommandContext(t.Context(), validator, "--data-file", path, "--validate-version", "1.2.0.1", "--block-download",
			"--applicability-criteria", criteria)
		run.Dir = packages // it looks for its table of currencies from there
		out, err := run.CombinedOutput()
		if !strings.Contains(string(out), "Validation Results") {
			t.Fatalf("%v\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if rule, is := strings.CutPrefix(line, "- "); is {
				rule, _, _ = strings.Cut(rule, ":")
				failures = append(failures, rule)
			}
		}
		return failures, string(out)
	}
	// Two of its rules leave their conditions out, which no program can check, and contradict each other: an invoice's number must be null, and
	// must not be. One of them fails whatever the file says.
	for month, contradicted := range map[string]string{"2025-03": "InvoiceId-C-004-C", "2025-04": "InvoiceId-C-004-C", "2025-05": "InvoiceId-C-005-C"} {
		_, text := focus(t, l, export.FOCUS12, month, "day,token")
		if failures, report := validate(month+".csv", text); !slices.Equal(failures, []string{contradicted}) {
			t.Errorf("%s does not pass: %v\n%s", month, failures, report)
		}
	}
	// There are no rules of 1.4 yet. Under the names that 1.2 had for the columns which 1.3 and 1.4 have renamed, a file of 1.4 passes its rules.
	_, text := focus(t, l, export.FOCUS14, "2025-05", "day,token")
	renamed := strings.NewReplacer("ServiceProviderName", "ProviderName", "HostProviderName", "PublisherName", "InvoiceDetailId", "x_InvoiceDetailId")
	head, rows, _ := strings.Cut(string(text), "\r\n")
	older := renamed.Replace(head) + ",CommitmentDiscountStatus\r\n" + strings.ReplaceAll(rows, "\r\n", ",\r\n")
	if failures, report := validate("newer.csv", []byte(older)); !slices.Equal(failures, []string{"InvoiceId-C-005-C"}) {
		t.Errorf("a file of 1.4 does not pass: %v\n%s", failures, report)
	}
	_, text = focus(t, l, export.FOCUS12, "2025-05", "model")
	if failures, report := validate("broken.csv", []byte(strings.Replace(string(text), "Usage-Based", "Sometimes", 1))); len(failures) < 2 {
		t.Errorf("a charge frequency that does not exist passes:\n%s", report)
	}
}
