package config

import "github.com/hashicorp/hcl/v2"

// TLS says what a listener shows its callers, and what it wants to be shown. The zero value: it speaks no TLS. All are files.
type TLS struct {
	Cert     string // the certificate, in PEM
	Key      string // its private key, in PEM
	ClientCA string // CAs, in PEM, of which callers have to show a certificate; "" = they show none
}

// On reports whether the listener speaks TLS.
func (t TLS) On() bool { return t.Cert != "" }

type tlsHCL struct {
	Cert     *hcl.Attribute `hcl:"cert,optional"`
	Key      *hcl.Attribute `hcl:"key,optional"`
	ClientCA *hcl.Attribute `hcl:"client_ca,optional"`
	Range    hcl.Range      `hcl:",def_range"`
}

func (r *reader) tls(f *tlsHCL, t *TLS) {
	if f == nil {
		return
	}
	r.required(f.Cert, f.Range, "cert", `the file of the certificate, in PEM; without TLS leave the block out`)
	r.required(f.Key, f.Range, "key", `the file of its private key, in PEM, of mode 0600`)
	r.path(f.Cert, &t.Cert)
	r.path(f.Key, &t.Key)
	r.path(f.ClientCA, &t.ClientCA)
}

// tlsAttributes are those of a block that has a TLS block.
func tlsAttributes[T any](of func(*T) *TLS) []attribute[T] {
	return []attribute[T]{
		{key: "tls.cert", effect: effectRestart, text: func(b *T) string { return quoted(of(b).Cert) }},
		{key: "tls.key", effect: effectRestart, text: func(b *T) string { return quoted(of(b).Key) }},
		{key: "tls.client_ca", effect: effectRestart, text: func(b *T) string { return quoted(of(b).ClientCA) }},
	}
}

// usesOfTLS are the files of a listener's TLS block; f is nil where there is none.
func usesOfTLS(f *tlsHCL, t TLS, listener string) (all []Use) {
	if f == nil {
		return nil
	}
	for _, one := range []struct {
		what, path string
		attr       *hcl.Attribute
	}{{"certificate", t.Cert, f.Cert}, {"key", t.Key, f.Key}, {"CAs of callers", t.ClientCA, f.ClientCA}} {
		if one.path != "" {
			all = append(all, Use{Path: one.path, For: one.what + " of the " + listener + " listener", Line: either(one.attr, f.Range).Start.Line})
		}
	}
	return all
}
