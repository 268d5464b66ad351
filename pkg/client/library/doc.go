// Package library keeps a user's books on this device: the PapyrusPowerSyncService, connector and DataStore of the app (contract:
// papyrus, section 10). A [Service] has two databases, a guest's, which never leaves the device, and an account's, which is synced; it
// opens the one that the state of a sign-in asks for, and never carries a row from one to the other. A [DataStore] is the books of the
// open one. How rows are synced is the concern of package powersync, and who is signed in that of package papyrus.
package library

// The files of a Service. Service.Path says where they are.
const (
	AccountFile = "papyrus-account.db"
	GuestFile   = "papyrus-guest.db"
)
