package activator

// Suspend keeps the planner from deciding anything, and from acting, until Resume: another server may be acting for the cluster. Hot instances
// serve on, what is seen of instances is taken in, and who waits goes on waiting. why is told to those who wait, without addresses.
func (a *Activator) Suspend(why string) { a.suspend(true, why) }

// Resume ends a Suspend. What is due is done at once.
func (a *Activator) Resume() { a.suspend(false, "") }

func (a *Activator) suspend(suspended bool, why string) {
	a.planning.Lock()
	a.planner.suspended, a.planner.suspendedFor = suspended, why
	a.exchange()
	a.finishPlanning()
}
