package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/pilotlight-io/pilotlight/internal/openai"
)

// guard lets through what may be answered at all: the right Host, and the admin token unless the route is open.
//
// A web page can make its visitor's browser ask a loopback listener, under a name of the page's own that resolves to
// 127.0.0.1 (DNS rebinding). It has no token, but so that nothing, not even what is open, ever depends on that alone, a
// loopback listener knows only loopback names.
func (s *Server) guard(c *fiber.Ctx) error {
	if s.loopback && !loopbackHost(string(c.Request().Header.Host())) {
		return openai.NewError(openai.CodePermissionDenied, "this listener answers only to localhost, 127.0.0.1 and [::1]; for other names set admin.addr to an address of the network")
	}
	path := c.Path()
	if slices.ContainsFunc(routes, func(r route) bool { return r.open && r.path == path }) {
		return c.Next()
	}
	if !s.authorized(c.Get(fiber.HeaderAuthorization)) {
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="pilotlight admin"`)
		return openai.NewError(openai.CodeInvalidAPIKey, "the admin token is missing or wrong; send it as Authorization: Bearer ...")
	}
	if encoding := c.Get(fiber.HeaderContentEncoding); encoding != "" && encoding != "identity" {
		return openai.NewError(openai.CodeUnsupportedEncoding, "send the body without Content-Encoding")
	}
	most := bodyLimit
	if path == configPath { // of thousands of models
		most = readLimit
	}
	if n := len(c.Request().Body()); n > most {
		return openai.NewError(openai.CodeRequestTooLarge, fmt.Sprintf("the body has %d bytes; at most %d are taken here", n, most))
	}
	return c.Next()
}

// authorized compares digests, so that neither the token's length nor its beginning shows in the time taken.
func (s *Server) authorized(header string) bool {
	scheme, token, _ := strings.Cut(header, " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(digest[:], s.digest[:]) == 1
}

func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
