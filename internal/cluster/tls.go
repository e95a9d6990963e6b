//go:build unix

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// TLS is a CA made for one cluster, and one certificate by it that serves all agents and their callers. The fields are files.
type TLS struct{ CA, Cert, Key string }

// names are those for which agents and their callers look in certificates.
var names = []string{"server.global.nomad", "client.global.nomad", "server.dc1.consul", "client.dc1.consul", "localhost"}

// newTLS makes a CA and a certificate. The CA's key is kept nowhere.
func newTLS(dir string) (*TLS, error) {
	t := &TLS{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a place for certificates: %w", err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Pilotlight's test cluster"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := sign(t.CA, "", ca, ca, nil)
	if err != nil {
		return nil, err
	}
	_, err = sign(t.Cert, t.Key, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, ca, caKey)
	return t, err
}

// sign makes a key, and writes a certificate for it; without a signer it signs itself. keyFile "" = the key is not written.
func sign(file, keyFile string, cert, by *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, by, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	if err := writePEM(file, "CERTIFICATE", der); err != nil || keyFile == "" {
		return key, err
	}
	der, err = x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return key, writePEM(keyFile, "EC PRIVATE KEY", der)
}

func writePEM(file, kind string, der []byte) error {
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("keeping a certificate: %w", err)
	}
	return nil
}

// newClient makes the client for the agents' APIs. It keeps no connection, so that none outlives the cluster.
func (c *Cluster) newClient() (*http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if c.TLS != nil {
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("reading a certificate: %w", err)
		}
		ca, err := os.ReadFile(c.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the CA's certificate: %w", err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
	}
	return &http.Client{Transport: transport}, nil
}
