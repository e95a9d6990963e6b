// Package certstest is for tests: it makes a CA, and certificates of it, that hold for an hour.
package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA signs certificates.
type CA struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	File string // its certificate, in PEM
}

// Pair is a certificate with its key, in PEM files.
type Pair struct{ Cert, Key string }

// New makes a CA whose files are in a directory of the test's own.
func New(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t, File: filepath.Join(t.TempDir(), "ca.pem")}
	ca.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: "Pilotlight's tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SerialNumber: serial(),
	}
	ca.key = ca.newKey()
	ca.write(ca.File, "CERTIFICATE", ca.sign(ca.cert, ca.key))
	return ca
}

// Issue gives a certificate for both sides, for localhost and these names, that holds until ends, and is known by a serial number of its own.
func (ca *CA) Issue(ends time.Time, names ...string) Pair {
	ca.t.Helper()
	dir := ca.t.TempDir()
	p := Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	key := ca.newKey()
	der := ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "a test"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: ends, SerialNumber: serial(),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: append([]string{"localhost"}, names...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, key)
	ca.write(p.Cert, "CERTIFICATE", der)
	der, err := x509.MarshalECPrivateKey(key)
	ca.must(err)
	ca.write(p.Key, "EC PRIVATE KEY", der)
	return p
}

// Pair is Issue for an hour.
func (ca *CA) Pair(names ...string) Pair {
	ca.t.Helper()
	return ca.Issue(time.Now().Add(time.Hour), names...)
}

// Trust gives the config of a caller that trusts the CA for localhost, and shows these certificates.
func (ca *CA) Trust(shows ...Pair) *tls.Config {
	ca.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	c.RootCAs.AddCert(ca.cert)
	for _, p := range shows {
		pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
		ca.must(err)
		c.Certificates = append(c.Certificates, pair)
	}
	return c
}

// Listener gives the config of a listener with a certificate, which does not change.
func Listener(t testing.TB, p Pair) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

func (ca *CA) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca.must(err)
	return key
}

func (ca *CA) sign(cert *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, cert, ca.cert, key.Public(), ca.key)
	ca.must(err)
	if ca.cert.Raw == nil {
		ca.cert, err = x509.ParseCertificate(der)
		ca.must(err)
	}
	return der
}

func (ca *CA) write(file, kind string, der []byte) {
	ca.must(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (ca *CA) must(err error) {
	ca.t.Helper()
	if err != nil {
		ca.t.Fatal(err)
	}
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err)
	}
	return n
}
