package edge

// Room is how many connections a process may have open at once.
type Room struct {
	Public int // of callers
	Both   int // of callers and to engines, together
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

// RoomIn shares out descriptors. Each request of a caller needs a second one while an engine works on it, but many may wait for each that is worked
// on: so callers and engines share what is left when the server has what it needs itself, and a quarter of it is the engines' alone.
func RoomIn(descriptors int) Room {
	admin := min(max(descriptors/16, roomLeast), adminMost)
	both := max(descriptors-max(descriptors/8, keptLeast)-admin, 2*roomLeast)
	return Room{Admin: admin, Both: both, Public: both - both/4}
}
