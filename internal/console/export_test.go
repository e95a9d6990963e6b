package console

// PostPaths are those of the pages that forms send to; an asterisk or a :name stands for what a form fills in.
func PostPaths() (paths []string) {
	for _, p := range pages {
		if p.post {
			paths = append(paths, p.path)
		}
	}
	return paths
}
