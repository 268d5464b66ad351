// Package provision is what sender and receiver do: it reads requests, forwards them signed, and carries out their actions
// (contract: provisioning, sections 2 to 4). Who the user is and who makes the key it leaves to an [IdentityProvider], a
// [Validator] and a [KeyIssuer]; paths, CORS and rate limits to package httpapi.
//
// An action is one file with a handler and one row in the registry, in action.go.
package provision
