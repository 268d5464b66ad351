package library_test

import (
	"bufio"
	"crypto/rand"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
	"github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/program"
)

// person is an account of a server.
type person struct {
	server   string
	email    string
	password secret.Text
}

// online is a device that is signed in at a server that runs.
type online struct {
	*device
	auth    *papyrus.AuthProvider
	uploads []library.Upload // that the server did not take as they were; to be read while the device is disconnected
}

// join returns a new device of a person, who is registered by the first one.
func (p *person) join(t *testing.T, options ...powersync.Option) *online {
	t.Helper()
	o := &online{}
	o.device = newDeviceOf(t, t.TempDir(), p.server,
		library.WithUploadHook(func(u library.Upload) { o.uploads = append(o.uploads, u) }),
		library.WithPowerSync(append(options, powersync.WithRetry(10*time.Millisecond, time.Second))...))
	o.auth = papyrus.NewAuthProvider(o.repository, o.dir)
	var err error
	if p.email == "" {
		p.email, p.password = strings.ToLower(rand.Text())+"@example.com", secret.New(rand.Text())
		err = o.auth.Register(t.Context(), papyrus.Registration{Email: p.email, DisplayName: "Reader", Password: p.password})
	} else {
		err = o.auth.Login(t.Context(), p.email, p.password)
	}
	if err == nil {
		err = o.service.Apply(t.Context(), o.auth.State())
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// sync syncs the device, and disconnects it.
func (o *online) sync(t *testing.T) {
	t.Helper()
	if err := o.service.Connect(); err != nil {
		t.Fatal(err)
	}
	defer o.service.Disconnect()
	if err := o.service.AwaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestDevicesOfAUserShareALibrary has two devices change it, while neither has a network, against a real server.
func TestDevicesOfAUserShareALibrary(t *testing.T) {
	p := &person{server: program.Start(t, "papyrus", nil).URL("papyrus")}
	laptop, desk := p.join(t), p.join(t)
	book, err := laptop.store(t).Add(t.Context(), everything())
	if err != nil {
		t.Fatal(err)
	}
	laptop.add(t, "Gone")
	laptop.sync(t)
	desk.sync(t)
	desk.expect(t, 0, "Emma", "Gone")

	gone, err := desk.store(t).Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := desk.store(t).Remove(t.Context(), gone.Books[1].ID); err != nil {
		t.Fatal(err)
	}
	edit(t, desk, book[0].ID, func(b *library.Book) { b.Rating = 3 })
	edit(t, laptop, book[0].ID, func(b *library.Book) { b.CurrentPage = 99 })
	for range 2 { // the second time brings each what the other did
		desk.sync(t)
		laptop.sync(t)
	}
	for name, o := range map[string]*online{"the laptop": laptop, "the desk": desk} {
		got, err := o.store(t).Find(t.Context(), book[0].ID)
		if err != nil || got.Rating != 3 || got.CurrentPage != 99 || got.UpdatedAt.IsZero() || got.Author != "Jane Austen" {
			t.Errorf("%s has %+v, %v", name, got, err)
		}
		o.expect(t, 0, "Emma")
	}
}

// TestChangedRowsAreNoticed alters a title on the way, which no sum of checksums shows: the device never has it, and gets the book again.
func TestChangedRowsAreNoticed(t *testing.T) {
	p := &person{server: program.Start(t, "papyrus", nil).URL("papyrus")}
	laptop := p.join(t)
	laptop.add(t, "Emma")
	laptop.sync(t)

	network := &altering{from: "Emma", to: "Enma"}
	desk := p.join(t, powersync.WithLines(), powersync.WithHTTPClient(&http.Client{Transport: network}))
	desk.sync(t)
	desk.expect(t, 0, "Emma")
	if network.streams < 2 {
		t.Errorf("%d streams: the device took what was altered in the first", network.streams)
	}
}

// altering is a network that alters a text in the first stream.
type altering struct {
	from, to string
	streams  int
}

// RoundTrip implements [http.RoundTripper].
func (a *altering) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/sync/stream") {
		return resp, err
	}
	if a.streams++; a.streams > 1 {
		return resp, nil
	}
	original := resp.Body
	body, pipe := io.Pipe()
	resp.Body = body
	go func() {
		defer func() { _ = original.Close() }()
		for lines := bufio.NewReader(original); ; {
			line, err := lines.ReadString('\n')
			if err == nil {
				_, err = io.WriteString(pipe, strings.ReplaceAll(line, a.from, a.to))
			}
			if err != nil { // of the server's end, or the device's
				_ = pipe.CloseWithError(err)
				return
			}
		}
	}()
	return resp, nil
}

func everything() library.Book {
	return library.Book{Title: "Emma", Author: "Jane Austen", CoAuthors: []string{"Ada"}, CurrentPosition: 0.5, CustomMetadata: map[string]any{"a": "b"}}
}

func edit(t *testing.T, o *online, id string, change func(*library.Book)) {
	t.Helper()
	if _, err := o.store(t).Edit(t.Context(), id, change); err != nil {
		t.Fatal(err)
	}
}

// TestRejectedUploadsAreCompletedAndHeardOf shows that what the server will never take does not keep what follows, and that a person is
// told of it, as of a value that it dropped.
func TestRejectedUploadsAreCompletedAndHeardOf(t *testing.T) {
	server := program.Start(t, "papyrus", nil).URL("papyrus")
	owner, other := (&person{server: server}).join(t), (&person{server: server}).join(t)
	id := uuid.NewString()
	for _, o := range []*online{owner, other} {
		if _, err := o.store(t).Add(t.Context(), library.Book{ID: id, Title: "Mine"}); err != nil {
			t.Fatal(err)
		}
		o.sync(t)
	}
	if _, err := other.store(t).Add(t.Context(), library.Book{Title: "Another", PageCount: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	other.sync(t)
	other.expect(t, 0, "Another")
	if len(owner.uploads) > 0 || len(other.uploads) != 2 {
		t.Fatalf("the owner heard of %+v, the other of %+v", owner.uploads, other.uploads)
	}
	if r := other.uploads[0].Result.Rejected; len(r) != 1 || r[0].Code != "FORBIDDEN" || other.uploads[0].Transaction.Mutations[0].ID != id {
		t.Errorf("rejected: %+v", other.uploads[0])
	}
	if w := other.uploads[1].Result.Warnings; !slices.ContainsFunc(w, func(w papyrus.Warning) bool { return w.Field == "page_count" }) {
		t.Errorf("warnings: %+v", w)
	}
}

// TestNothingIsSyncedForSomebodyElse shows that what one user wrote does not reach the account of the next one on this device.
func TestNothingIsSyncedForSomebodyElse(t *testing.T) {
	server := program.Start(t, "papyrus", nil).URL("papyrus")
	first, second := &person{server: server}, &person{server: server}
	o := first.join(t)
	o.add(t, "Of the first")
	second.join(t)
	if err := o.auth.Login(t.Context(), second.email, second.password); err != nil { // by another process, which this one did not hear of
		t.Fatal(err)
	}
	if err := o.service.Connect(); err != nil {
		t.Fatal(err)
	}
	program.Eventually(t, "syncing is refused", func() bool { return o.service.Status().DownloadError != nil })
	o.service.Disconnect()
	o.expect(t, 1, "Of the first")
	if err := o.service.Apply(t.Context(), o.auth.State()); err != nil {
		t.Fatal(err)
	}
	o.sync(t)
	o.expect(t, 0)
}
