// Package storetest is the conformance suite of package store: what its methods promise, asked of a database of any
// engine.
package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/session"
	"github.com/provisioner/provisioner/pkg/store"
)

// Now is the time of the suite, to the microsecond.
var Now = time.Date(2026, 11, 21, 10, 30, 0, 123456000, time.UTC)

// Run runs the suite; open returns an empty, migrated database of its own for each call.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Helper()
	for _, suite := range []struct {
		name string
		run  func(t *testing.T, db *store.DB)
	}{
		{"Admit", testAdmit},
		{"Events", testEvents},
		{"Claim", testClaim},
		{"Users", testUsers},
		{"CreateUser", testCreateUser},
		{"SignIn", testSignIn},
		{"Profile", testProfile},
		{"SetPlan", testSetPlan},
		{"SetDisabled", testSetDisabled},
		{"DeleteUser", testDeleteUser},
		{"DeleteUserWithBooks", testDeleteUserWithBooks},
		{"WhatOutlivesAUser", testWhatOutlivesAUser},
		{"Passwords", testPasswords},
		{"Credentials", testCredentials},
		{"ChangePassword", testChangePassword},
		{"ActionTokens", testActionTokens},
		{"ResetPassword", testResetPassword},
		{"Identities", testIdentities},
		{"ExchangeCodes", testExchangeCodes},
		{"States", testStates},
		{"Sessions", testSessions},
		{"Rotate", testRotate},
		{"Revoke", testRevoke},
		{"Keys", testKeys},
		{"ListKeys", testListKeys},
		{"RotateKey", testRotateKey},
		{"RevokeKey", testRevokeKey},
		{"Quota", testQuota},
		{"QuotaOfRotated", testQuotaOfRotated},
		{"Issues", testIssues},
		{"SigningKeys", testSigningKeys},
		{"Audit", testAudit},
		{"Refusals", testRefusals},
		{"Mail", testMail},
		{"Found", testFound},
		{"Rows", testRows},
		{"UploadOps", testUploadOps},
		{"UploadInChunks", testUploadInChunks},
		{"LargeRows", testLargeRows},
		{"Ledger", testLedger},
		{"UploadOfNobody", testUploadOfNobody},
		{"DeadLetters", testDeadLetters},
		{"DeadLetterCaps", testDeadLetterCaps},
		{"Notices", testNotices},
		{"Changes", testChanges},
		{"Snapshot", testSnapshot},
		{"Ops", testOps},
		{"WriteCheckpoint", testWriteCheckpoint},
		{"Compact", testCompact},
		{"CompactInChunks", testCompactInChunks},
		{"CompactBehindOld", testCompactBehindOld},
		{"Purge", testPurge},
		{"PurgeInChunks", testPurgeInChunks},
		{"StrangeText", testStrangeText},
	} {
		t.Run(suite.name, func(t *testing.T) { suite.run(t, open(t)) })
	}
}

// newUser returns the account of name@example.com, which it creates.
func newUser(t *testing.T, db *store.DB, name string) account.User {
	t.Helper()
	u := account.User{
		ID: uuid.NewString(), Email: name + "@example.com", DisplayName: name, Plan: "new", CreatedAt: Now, LastLoginAt: Now,
	}
	must(t, db.CreateUser(t.Context(), account.Addition{User: u, PasswordHash: "hash of " + name, Audit: entry(audit.Registered)}))
	return u
}

// newSession returns a session of a user, which it creates.
func newSession(t *testing.T, db *store.DB, userID string) session.Session {
	t.Helper()
	s := session.Session{
		ID: uuid.NewString(), UserID: userID, ClientType: "web", DeviceLabel: "Firefox", CreatedAt: Now, LastSeenAt: Now,
		ExpiresAt: Now.Add(30 * 24 * time.Hour), EndsAt: Now.Add(365 * 24 * time.Hour),
	}
	must(t, db.SignIn(t.Context(), s, account.Proof{}, entry(audit.SignedIn)))
	return s
}

// entry is an audit entry of an event that happens now.
func entry(kind audit.Kind) audit.Entry {
	return audit.Entry{At: Now, Kind: kind, Network: "192.0.2.1", RequestID: "request", Count: 1}
}

// wantAudit wants the last entry of a user, or of everybody for "", to be want, whatever its id.
func wantAudit(t *testing.T, db *store.DB, userID string, want audit.Entry) {
	t.Helper()
	got, err := db.AuditEntries(t.Context(), audit.Filter{UserID: userID, Limit: 1})
	must(t, err)
	if len(got) == 1 {
		got[0].ID = 0
	}
	wantEqual(t, "audited", got, []audit.Entry{want})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
