// Package signing is the HMAC scheme between sender and receiver: the signed string, the keyring and the replay window
// (contract: provisioning, section 1).
//
// A signature is HMAC-SHA256 over the timestamp header, a dot and the raw body, exactly as they travel. The package
// tells a right signature from a wrong one; that a right one is used only once is the concern of package replay.
package signing
