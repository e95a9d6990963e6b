package trtsim

// ParseForTest reads a command line and an environment into a config.
func ParseForTest(args []string, getenv func(string) string) (Config, error) {
	o, err := parse(args)
	if err != nil {
		return Config{}, err
	}
	err = o.finish(getenv)
	return o.config, err
}
