package admin

import "slices"

// Routes lists method and path of every route, as the document has them.
func Routes() []string {
	var list []string
	for _, r := range routes {
		list = append(list, r.method+" "+r.path)
	}
	return list
}

// Query lists the parameters that the query of a route may have, sorted.
func Query(route string) []string {
	for _, r := range routes {
		if r.method+" "+r.path == route {
			return slices.Sorted(slices.Values(r.query))
		}
	}
	return nil
}

// LoopbackHost is what the guard of a loopback listener asks of a Host.
var LoopbackHost = loopbackHost
