package slot

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Both sides of a slot's API know its key, so they need no certificates of others': each derives the same CA from the key, has it sign a certificate for a private
// key of its own, and takes only a certificate of that CA from the other. Whoever listens on the way learns nothing, and whoever stands in it is neither.
const (
	caUse      = "pilotlight slot api: CA"
	certName   = "slot.pilotlight.internal"
	certBefore = 24 * time.Hour // clocks differ
	certFor    = 10 * 365 * 24 * time.Hour
)

// tlsOf gives what a side of the API speaks where the key is this one.
func tlsOf(key string) (*tls.Config, error) {
	seed, err := hkdf.Key(sha256.New, []byte(key), nil, caUse, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("deriving a CA from the slot key: %w", err)
	}
	caKey := ed25519.NewKeyFromSeed(seed)
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: caUse}, NotBefore: now.Add(-certBefore), NotAfter: now.Add(certFor),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := signed(ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf, err := signed(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: certName}, DNSNames: []string{certName}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, root, own.Public(), caKey)
	if err != nil {
		return nil, err
	}
	cas := x509.NewCertPool()
	cas.AddCert(root)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: own, Leaf: leaf}},
		RootCAs:      cas, ServerName: certName, ClientCAs: cas, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}, nil
}

func signed(c, parent *x509.Certificate, public any, by ed25519.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	if err != nil {
		return nil, fmt.Errorf("making a certificate of the slot key: %w", err)
	}
	return x509.ParseCertificate(der)
}

// either accepts TLS and, for Consul's look at /healthz and for servers of before there was TLS here, plain HTTP.
type either struct {
	net.Listener
	tls *tls.Config
}

// Accept does not wait for what a connection begins with: its first read does, under that read's deadline.
func (e either) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &undecided{Conn: c, tls: e.tls}, nil
}

// undecided is a connection of which it is not known yet whether it speaks TLS. Only its server's goroutine reads and writes it before it is.
type undecided struct {
	net.Conn
	tls     *tls.Config
	decided net.Conn // nil = it is not
}

const tlsHandshake = 0x16 // the first byte of a TLS connection

func (u *undecided) Read(b []byte) (int, error) {
	if u.decided == nil {
		first := &begun{Conn: u.Conn, r: bufio.NewReaderSize(u.Conn, 4<<10)}
		head, err := first.r.Peek(1)
		if err != nil {
			return 0, err
		}
		if u.decided = first; head[0] == tlsHandshake {
			u.decided = tls.Server(first, u.tls)
		}
	}
	return u.decided.Read(b)
}

func (u *undecided) Write(b []byte) (int, error) {
	if u.decided == nil {
		return u.Conn.Write(b)
	}
	return u.decided.Write(b)
}

// begun is a connection whose first bytes have been read.
type begun struct {
	net.Conn
	r *bufio.Reader
}

func (b *begun) Read(to []byte) (int, error) { return b.r.Read(to) }
