package password_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/password"
	"github.com/provisioner/provisioner/pkg/secret"
)

var (
	quick = password.Params{Memory: 64, Time: 1, Threads: 1}
	right = secret.New("SecureP@ss123")
	wrong = secret.New("SecureP@ss124")
)

func mustHash(t *testing.T, h *password.Hasher, p secret.Text) string {
	t.Helper()
	hash, err := h.Hash(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestVerify(t *testing.T) {
	hasher := password.NewHasher(quick, 0)
	stronger := password.NewHasher(password.Params{Memory: 128, Time: 1, Threads: 1}, 0)
	adopted, err := bcrypt.GenerateFromPassword(right.Bytes(), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name       string
		hasher     *password.Hasher
		stored     string
		password   secret.Text
		ok, rehash bool
	}{
		{"the right password", hasher, mustHash(t, hasher, right), right, true, false},
		{"a wrong password", hasher, mustHash(t, hasher, right), wrong, false, false},
		{"no password set", hasher, "", right, false, false},
		{"costs were raised since", stronger, mustHash(t, hasher, right), right, true, true},
		{"costs were lowered since", hasher, mustHash(t, stronger, right), right, true, false},
		{"bcrypt of an adopted database", hasher, string(adopted), right, true, true},
		{"bcrypt, wrong password", hasher, string(adopted), wrong, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ok, rehash, err := tt.hasher.Verify(t.Context(), tt.stored, tt.password)
			if ok != tt.ok || rehash != tt.rehash || err != nil {
				t.Errorf("Verify() = %v, %v, %v; want %v, %v", ok, rehash, err, tt.ok, tt.rehash)
			}
		})
	}
}

func TestVerifyRefusesMalformedHashes(t *testing.T) {
	good := mustHash(t, password.NewHasher(quick, 0), right)
	for _, stored := range []string{
		"plain", "$argon2id$", strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		strings.Replace(good, "m=64", "m=99999999", 1), strings.Replace(good, "t=1", "t=99", 1), strings.Replace(good, "t=1", "t=01", 1),
		strings.Replace(good, "p=1", "p=0", 1), good + "=", good[:len(good)-10], "$2b$nonsense",
	} {
		if ok, _, err := password.NewHasher(quick, 0).Verify(t.Context(), stored, right); ok || err == nil {
			t.Errorf("Verify(%q) = %v, %v", stored, ok, err)
		}
	}
}

func TestFullBudgetIsAnOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hasher := password.NewHasher(quick, 64)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := hasher.Verify(ctx, "", right)
		e := apierror.From(err)
		if e.Status != 503 || e.RetryAfter == 0 {
			t.Errorf("Verify() without room = %v", err)
		}
		time.Sleep(time.Minute) // fake time: the timers end inside the bubble
	})
}

func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		name, password string
		nist, weak     bool
	}{
		{"eight characters", "8ZeichnX", false, false},
		{"seven characters", "7Zeiche", false, true},
		{"eight characters of several bytes", "пароль🔑я", false, false},
		{"seven characters of several bytes", "пароль🔑", false, true},
		{"spaces are characters", "  a  b  ", false, false},
		{"1024 bytes", strings.Repeat("aB", 512), false, false},
		{"1025 bytes", strings.Repeat("a", 1025), false, true},
		{"one of the commonest", "password1", false, true},
		{"one of the commonest in upper case", "PASSWORD1", false, true},
		{"two of the commonest on two lines", "password\npassword1", false, false},
		{"the email", "Reader@Example.com", false, true},
		{"not UTF-8", "aaaaaaaaa\xff", false, true},
		{"14 characters for NIST", "aBcDeFgHiJkLmN", true, true},
		{"15 characters for NIST", "aBcDeFgHiJkLmNo", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := password.NewPolicy(tt.nist).Check(secret.New(tt.password), "reader@example.com")
			var weak *password.WeakError
			if errors.As(err, &weak) != tt.weak {
				t.Errorf("Check() = %v", err)
			}
			if err != nil && strings.Contains(err.Error(), tt.password) {
				t.Errorf("the reason shows the password: %v", err)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	hasher := password.NewHasher(password.OWASP, 0)
	stored, err := hasher.Hash(b.Context(), right)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, _, err := hasher.Verify(b.Context(), stored, right); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
