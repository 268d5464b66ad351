package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"
)

// Rules for attempts to sign in (contract: provisioning, section 2, rate limits).
var (
	failedPerAccountAndNetwork = Limit{Count: 10, Period: 10 * time.Minute}
	// failedPerAccount limits nothing by itself: what is gone of it beyond freeFailures becomes a delay.
	failedPerAccount = Limit{Count: freeFailures + delaySteps, Period: 10 * time.Minute}
)

const (
	freeFailures = 5
	delaySteps   = 10
	maxDelay     = 5 * time.Second
)

// Bucket names what is counted apart.
type Bucket string

// The buckets of the public endpoints.
const (
	SignUp             Bucket = "signup"
	SignIn             Bucket = "signin"
	OAuthStart         Bucket = "oauth-start"
	ExchangeCode       Bucket = "exchange-code"
	VerifyEmail        Bucket = "verify-email"
	ResendVerification Bucket = "resend-verification"
	ForgotPassword     Bucket = "forgot-password"
	ResetPassword      Bucket = "reset-password"
	RotateKey          Bucket = "rotate-key"
	Send               Bucket = "send"
)

// Attempts limits what one network may attempt, and guesses at one account. Only well-formed attempts should come here.
type Attempts struct {
	limiter Limiter
	limit   Limit
}

// NewAttempts returns Attempts with limit for each network and bucket. A limit that is off turns every rule off.
func NewAttempts(limiter Limiter, limit Limit) *Attempts {
	return &Attempts{limiter: limiter, limit: limit}
}

// Admit counts an attempt of a client against its network's limit.
func (a *Attempts) Admit(ctx context.Context, b Bucket, client netip.Addr) (Decision, error) {
	return a.limiter.Take(ctx, string(b)+":"+Network(client), a.limit, 1)
}

// AdmitSignIn tells whether the client may guess at the account once more, and how long the guess is to be delayed. It
// counts the guess as wrong until [Attempts.Passed] says that it was not: guesses made together cannot pass the limit
// together. An account is never locked: guesses from many networks only get slower, by at most 5 s.
func (a *Attempts) AdmitSignIn(ctx context.Context, account string, client netip.Addr) (Decision, time.Duration, error) {
	if a.limit.Off() {
		return Unlimited, 0, nil
	}
	d, err := a.limiter.Take(ctx, pairKey(account, client), failedPerAccountAndNetwork, 1)
	if err != nil || !d.Allowed {
		return d, 0, err
	}
	all, err := a.limiter.Take(ctx, accountKey(account), failedPerAccount, 0)
	if err != nil {
		return Decision{}, 0, err
	}
	failures := all.Limit - all.Remaining
	return d, min(maxDelay, time.Duration(max(0, failures-freeFailures+1))*maxDelay/delaySteps), nil
}

// Failed says that an admitted guess at the account was wrong.
func (a *Attempts) Failed(ctx context.Context, account string) error {
	return a.take(ctx, accountKey(account), failedPerAccount, 1)
}

// Passed says that an admitted guess was not wrong: it was right, or nobody could tell.
func (a *Attempts) Passed(ctx context.Context, account string, client netip.Addr) error {
	return a.take(ctx, pairKey(account, client), failedPerAccountAndNetwork, -1)
}

func (a *Attempts) take(ctx context.Context, key string, limit Limit, n int) error {
	if a.limit.Off() {
		return nil
	}
	_, err := a.limiter.Take(ctx, key, limit, n)
	return err
}

// Network returns whom an address counts for: itself in IPv4, its /64 in IPv6.
func Network(client netip.Addr) string {
	client = client.Unmap().WithZone("")
	if client.Is6() {
		if p, err := client.Prefix(64); err == nil {
			return p.String()
		}
	}
	return client.String()
}

func pairKey(account string, client netip.Addr) string {
	return "failed:" + digest(account) + ":" + Network(client)
}

func accountKey(account string) string { return "failed:" + digest(account) }

// digest keeps addresses out of the keys, which a shared limiter stores.
func digest(account string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(account))))
	return hex.EncodeToString(sum[:16])
}
