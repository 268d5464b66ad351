package supabase_test

import (
	"context"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/supabase"
)

type validator func(ctx context.Context, raw string) (provision.Identity, error)

func (f validator) Validate(ctx context.Context, raw string) (provision.Identity, error) {
	return f(ctx, raw)
}

func TestCachedValidator(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	token := func(edit jwt.MapClaims) string { return mustSign(t, jwt.SigningMethodHS256, "", key, claims(edit)) }
	long, short := token(nil), token(jwt.MapClaims{"exp": noon.Add(10 * time.Second).Unix()})
	endless, other := token(jwt.MapClaims{"exp": nil}), token(jwt.MapClaims{"sub": "bob"})

	now, asked := noon, 0
	var refusal error
	v := supabase.NewCachedValidator(validator(func(_ context.Context, raw string) (provision.Identity, error) {
		asked++
		if raw == other {
			return provision.Identity{UserID: "bob"}, refusal
		}
		return provision.Identity{UserID: userID}, refusal
	}), time.Minute, func() time.Time { return now })

	for _, step := range []struct {
		name    string
		later   time.Duration
		raw     string
		refusal error
		asked   int
	}{
		{"a refusal", 0, long, provision.ErrInvalidAuth, 1},
		{"is not remembered", 0, long, provision.ErrIdentityTimeout, 2},
		{"nor is an outage", 0, long, nil, 3},
		{"what was good is", 59 * time.Second, long, nil, 3},
		{"so long that a revocation is not seen", 0, long, nil, 3},
		{"another JWT is another", 0, other, nil, 4},
		{"after the time it is asked again", time.Second, long, nil, 5},
		{"a JWT that ends soon", -60 * time.Second, short, nil, 6},
		{"is remembered", 9 * time.Second, short, nil, 6},
		{"but not past its end", time.Second, short, provision.ErrInvalidAuth, 7},
		{"one without end", 0, endless, nil, 8},
		{"is not remembered", 0, endless, nil, 9},
	} {
		now, refusal = now.Add(step.later), step.refusal
		who, err := v.Validate(t.Context(), step.raw)
		if code(err) != code(step.refusal) || asked != step.asked {
			t.Errorf("%s: %v after asking %d times, want %v after %d", step.name, err, asked, step.refusal, step.asked)
		}
		if err == nil && (who.UserID == "bob") != (step.raw == other) {
			t.Errorf("%s: it is %s", step.name, who.UserID)
		}
	}
}
