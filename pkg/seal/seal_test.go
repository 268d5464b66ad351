package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/provisioner/provisioner/pkg/seal"
	"github.com/provisioner/provisioner/pkg/secret"
)

func newSealer(t *testing.T, key string) *seal.Sealer {
	t.Helper()
	sealer, err := seal.New(secret.New(key))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

func TestSealer(t *testing.T) {
	plain := []byte(`{"token":"obtk_0123"}`)
	sealer, other := newSealer(t, "a seal key of at least 32 bytes for tests"), newSealer(t, "another seal key of at least 32 bytes")
	sealed, err := sealer.Seal(plain, "this")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("obtk_")) {
		t.Error("the text shows")
	}
	if again, err := sealer.Seal(plain, "this"); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice it looks the same, %v", err)
	}

	for _, tt := range []struct {
		name   string
		sealer *seal.Sealer
		what   string
		sealed []byte
		want   error
	}{
		{"itself", sealer, "this", sealed, nil},
		{"as something else", sealer, "that", sealed, seal.ErrBroken},
		{"another seal key", other, "this", sealed, seal.ErrBroken},
		{"cut off", sealer, "this", sealed[:len(sealed)-1], seal.ErrBroken},
		{"a nonce alone", sealer, "this", sealed[:12], seal.ErrBroken},
		{"less than a nonce", sealer, "this", sealed[:11], seal.ErrBroken},
		{"nothing", sealer, "this", nil, seal.ErrBroken},
		{"the text in the clear", sealer, "this", plain, seal.ErrBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.sealer.Open(tt.sealed, tt.what)
			if !errors.Is(err, tt.want) || tt.want == nil && !bytes.Equal(got, plain) || tt.want != nil && got != nil {
				t.Errorf("Open() = %q, %v; want %v", got, err, tt.want)
			}
		})
	}
	for i := range sealed {
		tampered := bytes.Clone(sealed)
		tampered[i] ^= 0x80
		if _, err := sealer.Open(tampered, "this"); !errors.Is(err, seal.ErrBroken) {
			t.Errorf("byte %d changed: %v, want ErrBroken", i, err)
		}
	}
}

func TestNewRefusesAShortKey(t *testing.T) {
	if _, err := seal.New(secret.New("only 31 bytes of key, not more!")); err == nil {
		t.Error("a key of 31 bytes is taken")
	}
}
