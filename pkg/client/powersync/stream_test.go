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
	streams chan *io.PipeWriter
	fetch   func(ctx context.Context) // called for each token
}

func newPiped() *piped {
	return &piped{make(chan *io.PipeWriter, 1), func(context.Context) {}}
}

func (p *piped) RoundTrip(r *http.Request) (*http.Response, error) {
	body, stream := io.Pipe()
	if strings.HasPrefix(r.URL.Path, "/sync/") {
		p.streams <- stream
	} else {
		go func() { _, _ = io.WriteString(stream, `{"data":{"write_checkpoint":"1"}}`) }()
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-ndjson"}}, Body: body}, nil
}

func (p *piped) FetchCredentials(ctx context.Context) (powersync.Credentials, error) {
	p.fetch(ctx)
	return powersync.Credentials{Endpoint: "http://service", Token: rand.Text()}, ctx.Err()
}

func (p *piped) UploadData(ctx context.Context, db *powersync.DB) error { return complete(ctx, db) }

func (p *piped) options() []powersync.Option {
	return []powersync.Option{quick(), powersync.WithHTTPClient(&http.Client{Transport: p})}
}

// TestSilence leaves a stream of which nothing has come for a minute, and not one whose lines take longer than that.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPiped()
		db := open(t, t.TempDir(), p.options()...)
		db.Connect(p)
		stream := <-p.streams
		began := time.Now()
		lines := strings.Join([]string{checkpointOf(bucketOf("a", 1, 1)), dataOf("a", put(1, "x", "X")), completeLine, ""}, "\n")
		for half := range strings.SplitSeq(strings.ReplaceAll(lines, `"op`, "|\"op"), "|") {
			time.Sleep(59 * time.Second) // of the bubble's
			if _, err := io.WriteString(stream, half); err != nil {
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
		p := newPiped()
		db := open(t, t.TempDir(), p.options()...)
		db.Connect(p)
		stream := <-p.streams
		fetched := 0
		p.fetch = func(context.Context) {
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
		p := newPiped()
		db := open(t, t.TempDir(), p.options()...)
		db.Connect(p)
		stream := <-p.streams
		release := make(chan struct{})
		p.fetch = func(context.Context) { <-release }
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
