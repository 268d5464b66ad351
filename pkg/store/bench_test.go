package store_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/apikey"
	"github.com/provisioner/provisioner/pkg/audit"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/store"
)

func BenchmarkAdmit(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := open(b, engines["SQLite"](b))
			batch := make([]replay.Admission, size)
			var n uint64
			for b.Loop() {
				for i := range batch {
					n++
					var counter [8]byte
					binary.BigEndian.PutUint64(counter[:], n)
					batch[i] = replay.Admission{Nonce: sha256.Sum256(counter[:]), Expires: time.Now().Add(time.Hour)}
				}
				if _, err := db.Admit(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKeyByHash(b *testing.B) {
	db := open(b, engines["SQLite"](b))
	u := account.User{ID: uuid.NewString(), Email: "a@example.com", DisplayName: "a", Plan: "new", CreatedAt: time.Now()}
	if err := db.CreateUser(b.Context(), account.Addition{User: u}); err != nil {
		b.Fatal(err)
	}
	k := apikey.Key{ID: uuid.NewString(), UserID: u.ID, Hash: sha256.Sum256(nil), CreatedAt: time.Now()}
	if _, err := db.CreateKey(b.Context(), k, 1, apikey.Issue{}, audit.Entry{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := db.KeyByHash(b.Context(), k.Hash); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is what a program waits for that starts with an existing database.
func BenchmarkStart(b *testing.B) {
	c := engines["SQLite"](b)
	open(b, c)
	for b.Loop() {
		db, err := store.Open(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Migrate(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
