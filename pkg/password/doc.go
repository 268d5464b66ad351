// Package password hashes and checks passwords: argon2id under a bound on the memory of all hashes in flight, and the policy for
// new ones (contract: papyrus, section 2). It knows no accounts.
//
// The list of the commonest passwords, common.txt, comes from the frequency lists of zxcvbn (Copyright 2012-2016 Dan
// Wheeler and Dropbox, Inc., MIT licence).
package password
