package simulate

// SearchFleet searches among fleets of up to so many nodes by what is said of each.
func SearchFleet(most int, holds func(nodes int) (bool, error)) (*FleetSize, error) {
	f := &fleetSearch{most: most, known: make(map[int]FleetWait), measure: func(nodes int) (FleetWait, error) {
		met, err := holds(nodes)
		return FleetWait{Nodes: nodes, GPUs: nodes, Met: met}, err
	}}
	return f.run()
}
