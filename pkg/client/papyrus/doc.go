// Package papyrus signs a person in at a papyrus server, as the Flutter apps do, and keeps them signed in: it holds the tokens and
// refreshes them (contract: papyrus, section 10). It does not know what is done while signed in; packages powersync and library do.
//
// # The parts
//
// [AuthRepository] calls the server and owns the tokens. [AuthProvider] is the state machine above it: who is signed in, whether the
// server is out of reach, whether the person chose to work offline. A [TokenStore] keeps the sign-in from one process to the next;
// [DeviceStore] is the one of a desktop.
//
// # When tokens are kept
//
// The access token is in memory only. The refresh token is replaced by each successful refresh. It is cleared by signing out, by offline
// mode, and when the server definitely refuses it: 401 or 403 as an answer to a refresh, and to nothing else. No network, 429, 5xx and
// answers of something that is not papyrus keep it. A refresh whose answer was lost is repeated with the same token: the server gives the
// successor again.
package papyrus
