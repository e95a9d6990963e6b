package tenant_test

import (
	"fmt"
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pilotlight-io/pilotlight/internal/tenant"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func TestNewSecret_HasItsForm(t *testing.T) {
	form := regexp.MustCompile(`^pl_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$`)
	seen := map[string]bool{}
	longest := 0
	for range 1000 {
		s := tenant.NewSecret()
		if !form.MatchString(s) || !tenant.CheckSecret(s) || seen[s] {
			t.Fatalf("got %q, want a new secret of the form %s", s, form)
		}
		seen[s] = true
		n := new(big.Int)
		for _, c := range s[3:46] {
			n.Mul(n, big.NewInt(62)).Add(n, big.NewInt(int64(strings.IndexRune(base62, c))))
		}
		longest = max(longest, n.BitLen())
	}
	if longest != 256 {
		t.Errorf("1000 secrets have at most %d bits, want 256", longest)
	}
}

// isSecret is what CheckSecret has to say. The checksum is computed here in another way, so that a change of ours cannot go unseen: scanners know the form.
func isSecret(s string) bool {
	parts := regexp.MustCompile(`\Apl_([0-9A-Za-z]{43})([0-9A-Za-z]{6})\z`).FindStringSubmatch(s)
	if parts == nil {
		return false
	}
	sum := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(parts[1])))).Text(62)
	// big.Int's digits above 9 are lower case first; ours are upper case first.
	return parts[2] == strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, fmt.Sprintf("%06s", sum))
}

func TestCheckSecret_Checksum(t *testing.T) {
	if secret := "pl_" + base62[:43] + "37cCQ0"; !tenant.CheckSecret(secret) || !isSecret(secret) {
		t.Errorf("%s is refused", secret)
	}
}

func TestCheckSecret_RefusesATypo(t *testing.T) {
	good := tenant.NewSecret()
	rapid.Check(t, func(t *rapid.T) {
		bad := []byte(good)
		at := rapid.IntRange(0, len(bad)-1).Draw(t, "at")
		bad[at] = rapid.Byte().Filter(func(c byte) bool { return c != good[at] }).Draw(t, "to")
		if tenant.CheckSecret(string(bad)) {
			t.Errorf("%q passes", bad)
		}
	})
	for _, bad := range []string{"", "pl_", good[:len(good)-1], good + "0", " " + good, strings.ToLower(good), "sk" + good[2:]} {
		if tenant.CheckSecret(bad) {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzCheckSecret(f *testing.F) {
	f.Add(tenant.NewSecret())
	f.Add("pl_")
	f.Fuzz(func(t *testing.T, s string) {
		if got := tenant.CheckSecret(s); got != isSecret(s) {
			t.Errorf("%q: got %t, want %t", s, got, !got)
		}
	})
}
