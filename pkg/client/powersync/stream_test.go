package powersync_test

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/provisioner/provisioner/pkg/client/powersync"
)

// piped is a network without time, whose streams are pipes, and the connector of its device.
type piped struct {
	streams chan *io.PipeWriter // that were opened
	fetch   func()              // called for each token
}

// newPiped returns also a device that is connected through it, and its stream.
func newPiped(t *testing.T) (*piped, *powersync.DB, *io.PipeWriter) {
	t.Helper()
	p := &piped{make(chan *io.PipeWriter, 1), func() {}}
	db := open(t, t.TempDir(), quick(), powersync.WithHTTPClient(&http.Client{Transport: p}))
	db.Connect(p)
	return p, db, <-p.streams
}

func (p *piped) RoundTrip(*http.Request) (*http.Response, error) {
	body, stream := io.Pipe()
	p.streams <- stream
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-ndjson"}}, Body: body}, nil
}

func (p *piped) FetchCredentials(ctx context.Context) (powersync.Credentials, error) {
	p.fetch()
	return powersync.Credentials{Endpoint: "http://service", Token: rand.Text()}, ctx.Err()
}

func (p *piped) UploadData(ctx context.Context, db *powersync.DB) error { return complete(ctx, db) }

// TestSilence leaves a stream of which nothing has come for a minute, and not one whose lines take longer than that.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, db, stream := newPiped(t)
		began := time.Now()
		lines := strings.Join([]string{checkpointOf(bucketOf("a", 1, 1)), dataOf("a", put(1, "x", "X")), completeLine, ""}, "\n")
		for part := range strings.SplitSeq(strings.ReplaceAll(lines, `"op`, "|\"op"), "|") {
			time.Sleep(59 * time.Second) // of the bubble's
			if _, err := io.WriteString(stream, part); err != nil {
				t.Fatal(err)
			}
		}
		shelve(t, db, "X")
		if len(p.streams) > 0 {
			t.Fatalf("the device left after %v", time.Since(began))
		}

		began = time.Now()
		<-p.streams
		if silent := time.Since(began); silent < time.Minute || silent > 61*time.Second {
			t.Errorf("the device left a silent stream after %v", silent)
		}
		if err := db.Status().DownloadError; err == nil || !strings.Contains(err.Error(), "silent") {
			t.Errorf("download error %v", err)
		}
		db.Disconnect()
	})
}

// TestTokenEndsWhileAnotherIsFetched takes that one, and asks for no third.
func TestTokenEndsWhileAnotherIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, db, stream := newPiped(t)
		fetched := 0
		p.fetch = func() {
			fetched++
			time.Sleep(25 * time.Second) // of the bubble's
		}
		for _, line := range []string{checkpointOf(""), completeLine, `{"token_expires_in":20}`, `{"token_expires_in":0}`} {
			_, _ = io.WriteString(stream, line+"\n")
			synctest.Wait()
		}
		<-p.streams
		if fetched != 1 {
			t.Errorf("%d tokens were fetched", fetched)
		}
		db.Disconnect()
	})
}

// TestDisconnectWaitsForTheConnector calls it no more once it has returned.
func TestDisconnectWaitsForTheConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, db, stream := newPiped(t)
		release := make(chan struct{})
		p.fetch = func() { <-release }
		_, _ = io.WriteString(stream, `{"token_expires_in":20}`+"\n"+checkpointOf("")+"\n")
		synctest.Wait()
		disconnected := false
		go func() {
			db.Disconnect()
			disconnected = true
		}()
		synctest.Wait()
		if disconnected {
			t.Error("Disconnect has returned while credentials were fetched")
		}
		close(release)
		synctest.Wait()
		if !disconnected {
			t.Error("Disconnect has not returned")
		}
	})
}
