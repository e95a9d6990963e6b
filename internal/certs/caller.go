package certs

import "crypto/tls"

// CallerConfig gives the config of a program that calls a listener and ends soon. Each file may be "": without ca the system's CAs are trusted, without
// cert and key, which go together, no certificate is shown.
func CallerConfig(ca, cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cert != "" || key != "" {
		s, err := Open(Config{Cert: cert, Key: key, CA: ca})
		if err != nil {
			return nil, err
		}
		return s.Caller().Clone(), nil
	}
	if ca != "" {
		cas, err := readCAs(ca)
		if err != nil {
			return nil, err
		}
		c.RootCAs = cas
	}
	return c, nil
}
