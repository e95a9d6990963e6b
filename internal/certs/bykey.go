package certs

import (
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
	"time"
)

const (
	keyedBefore = 24 * time.Hour // clocks differ
	keyedFor    = 10 * 365 * 24 * time.Hour
)

// ByKey gives what both sides of an API of ours speak that know one key, and so need no certificates of others: each derives the same CA from the key, has it
// sign a certificate for a private key of its own, and takes only a certificate of that CA from the other. A key is for the API of that name alone.
func ByKey(key, api string) (*tls.Config, error) {
	use, name := "pilotlight "+api+" api: CA", api+".pilotlight.internal"
	seed, err := hkdf.Key(sha256.New, []byte(key), nil, use, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("deriving a CA from the key: %w", err)
	}
	caKey := ed25519.NewKeyFromSeed(seed)
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: use}, NotBefore: now.Add(-keyedBefore), NotAfter: now.Add(keyedFor),
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
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, root, own.Public(), caKey)
	if err != nil {
		return nil, err
	}
	cas := x509.NewCertPool()
	cas.AddCert(root)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: own, Leaf: leaf}},
		RootCAs:      cas, ServerName: name, ClientCAs: cas, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}, nil
}

func signed(c, parent *x509.Certificate, public any, by ed25519.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	if err != nil {
		return nil, fmt.Errorf("making a certificate of the key: %w", err)
	}
	return x509.ParseCertificate(der)
}
