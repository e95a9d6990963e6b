package edge

// Room is how many connections a process may have open at once.
type Room struct {
	Public int // of callers
	Admin  int // of operators
}

const (
	// keptLeast are the descriptors kept for the store, the log, the back end and its engines, and for whatever else a server opens.
	keptLeast = 96
	// adminMost is enough for all operators and their dashboards: an address may have three quarters of them, and each open page of the console holds one.
	adminMost = 512
	// roomLeast keeps a server with hardly any descriptors of use.
	roomLeast = 8
)

// RoomIn shares out descriptors. Each request of a caller may need a second one, to its engine: so callers get half of what is left when the
// server has what it needs itself.
func RoomIn(descriptors int) Room {
	admin := min(max(descriptors/16, roomLeast), adminMost)
	kept := max(descriptors/8, keptLeast)
	return Room{Admin: admin, Public: max((descriptors-kept-admin)/2, roomLeast)}
}
