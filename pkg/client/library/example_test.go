package library_test

import (
	"context"
	"fmt"
	"os"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/secret"
)

// Keep books in offline mode, without a server.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "client")
	defer func() { _ = os.RemoveAll(dir) }()
	auth, books, err := open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = books.Close() }()

	_ = auth.SetOfflineMode(ctx, true)
	_ = books.Apply(ctx, auth.State()) // opens the guest's library
	store, _ := books.Store()
	added, _ := store.Add(ctx, library.Book{Title: "Emma", Author: "Jane Austen"})
	edited, err := store.Edit(ctx, added[0].ID, func(b *library.Book) { b.ReadingStatus = library.InProgress })
	fmt.Println(books.Kind(), edited.Title, edited.ReadingStatus, err)
	// Output:
	// guest Emma inProgress <nil>
}

// Sign in, add a book, and have it on all of the user's devices.
func Example_sync() {
	ctx := context.Background()
	auth, books, err := open("client")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = books.Close() }()

	_ = auth.Login(ctx, "reader@example.com", secret.New("a long password"))
	_ = books.Apply(ctx, auth.State()) // opens the account's library
	store, _ := books.Store()
	_, _ = store.Add(ctx, library.Book{Title: "Emma", Author: "Jane Austen"}) // here at once, and queued
	_ = books.Connect()                                                       // syncs from now on, in the background
	fmt.Println(books.AwaitSynced(ctx))
	for snapshot := range store.Changes(ctx) { // as any device changes it
		fmt.Println(len(snapshot.Books), "books")
	}
}

// open opens what an app has one of each.
func open(dir string) (*papyrus.AuthProvider, *library.Service, error) {
	tokens, err := papyrus.NewDeviceStore(dir, "http://localhost:8080", papyrus.SystemKeyring{})
	if err != nil {
		return nil, nil, err
	}
	repository, err := papyrus.NewAuthRepository(papyrus.Config{APIBaseURL: "http://localhost:8080"}, tokens)
	if err != nil {
		return nil, nil, err
	}
	return papyrus.NewAuthProvider(repository, dir), library.Open(dir, repository), nil
}
