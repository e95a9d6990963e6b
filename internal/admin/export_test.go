package admin

// Routes lists method and path of every route, as the document has them.
func Routes() []string {
	var list []string
	for _, r := range routes {
		list = append(list, r.method+" "+r.path)
	}
	return list
}

// LoopbackHost is what the guard of a loopback listener asks of a Host.
var LoopbackHost = loopbackHost
