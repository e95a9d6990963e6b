package activator

// Suspend keeps the planner from deciding anything, and from acting, until Resume: another server may be acting for the cluster. Hot instances
// serve on, what is seen of instances is taken in, and who waits goes on waiting. why is told to those who wait, without addresses.
func (a *Activator) Suspend(why string) {
	a.planning.Lock()
	if a.planner != nil {
		a.planner.Suspend(why)
	}
	a.exchange()
	a.finishPlanning()
}

// Resume ends a Suspend. What is due is done at once.
func (a *Activator) Resume() {
	a.planning.Lock()
	if a.planner != nil {
		a.planner.Resume()
	}
	a.exchange()
	a.finishPlanning()
}
