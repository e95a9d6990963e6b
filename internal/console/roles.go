package console

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/access"
)

// roles are those of admins that may ask for the page.
func (p page) roles() []access.Role {
	switch {
	case p.action != "":
		return []access.Role{access.Operator}
	case p.bills:
		return []access.Role{access.Operator, access.Auditor, access.Billing}
	}
	return []access.Role{access.Operator, access.Auditor}
}

// mayChange reports whether forms that change something are shown: to operators, and to callers, whose scopes decide.
func (v *visit) mayChange() bool { return !v.isOperator() || v.admin.Role == access.Operator }

func noRole(p page, a access.Admin) error {
	var roles []string
	for _, r := range p.roles() {
		roles = append(roles, string(r))
	}
	does := "This page"
	if p.action != "" {
		does = "This change"
	}
	return &problem{http.StatusForbidden, "Your role may not do this", fmt.Sprintf("%s needs an admin token of the role %s; %s has the role %s.", does, strings.Join(roles, " or "), a.Name, a.Role)}
}
