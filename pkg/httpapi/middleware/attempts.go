package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/binding"
	"github.com/provisioner/provisioner/pkg/ratelimit"
)

// Attempts applies the rules for attempts to requests. What came through a binding was counted by the service that sent it.
type Attempts struct {
	rules *ratelimit.Attempts
}

// NewAttempts returns Attempts under rules.
func NewAttempts(rules *ratelimit.Attempts) *Attempts { return &Attempts{rules: rules} }

// Admit counts a well-formed attempt. It returns 429 RATE_LIMITED over the limit.
func (a *Attempts) Admit(c echo.Context, bucket ratelimit.Bucket) error {
	ctx := c.Request().Context()
	if binding.Bound(ctx) {
		return nil
	}
	d, err := a.rules.Admit(ctx, bucket, Client(c))
	if err != nil {
		return err
	}
	return Refuse(c, d)
}

// SignIn admits and makes a guess at an account, delayed if there were many, and counts it when it returns wrong.
func (a *Attempts) SignIn(c echo.Context, account string, wrong error, guess func(context.Context) error) error {
	ctx := c.Request().Context()
	if binding.Bound(ctx) {
		return guess(ctx)
	}
	if err := a.Admit(c, ratelimit.SignIn); err != nil {
		return err
	}
	d, delay, err := a.rules.AdmitSignIn(ctx, account, Client(c))
	if err != nil {
		return err
	}
	if err := Refuse(c, d); err != nil {
		return err
	}
	err = wait(ctx, delay)
	if err == nil {
		err = guess(ctx)
	}
	hungUp := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	switch {
	case errors.Is(err, wrong):
		return errors.Join(err, a.rules.Failed(ctx, account))
	case hungUp:
		return err // who does not wait for the answer has guessed all the same
	}
	return errors.Join(err, a.rules.Passed(ctx, account, Client(c)))
}

func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
