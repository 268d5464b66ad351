package powersync_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// account is a user of a real server, and the connector of that user's devices.
type account struct {
	papyrus string

	mu              sync.Mutex
	access, refresh string
}

func register(t testing.TB, papyrus string) *account {
	t.Helper()
	a := &account{papyrus: papyrus}
	body := fmt.Sprintf(`{"email":"%s@example.com","password":%q,"display_name":"Reader"}`, strings.ToLower(rand.Text()), rand.Text())
	if status, err := a.tokens(t.Context(), "/v1/auth/register", body); err != nil || status != http.StatusCreated {
		t.Fatalf("register: %d, %v", status, err)
	}
	return a
}

// tokens takes the tokens of an answer.
func (a *account) tokens(ctx context.Context, path, body string) (status int, err error) {
	status, answer, err := send(ctx, a.papyrus+path, "", []byte(body))
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err == nil && json.Unmarshal(answer, &got) == nil && got.Access != "" {
		a.access, a.refresh = got.Access, got.Refresh
	}
	return status, err
}

func send(ctx context.Context, url, token string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// post makes a request with the access token, which is renewed once after a 401.
func (a *account) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for renewed := false; ; renewed = true {
		status, answer, err := send(ctx, a.papyrus+path, a.access, body)
		if err != nil || status == http.StatusOK {
			return answer, err
		}
		if status != http.StatusUnauthorized || renewed {
			return nil, fmt.Errorf("%s: %d", path, status)
		}
		if _, err := a.tokens(ctx, "/v1/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, a.refresh)); err != nil {
			return nil, err
		}
	}
}

func (a *account) FetchCredentials(ctx context.Context) (powersync.Credentials, error) {
	answer, err := a.post(ctx, "/v1/auth/powersync-token", nil)
	var got struct {
		Token     string `json:"token"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err != nil || json.Unmarshal(answer, &got) != nil {
		return powersync.Credentials{}, fmt.Errorf("no token: %w", err)
	}
	return powersync.Credentials{Endpoint: a.papyrus, Token: got.Token, ExpiresAt: time.Now().Add(time.Duration(got.ExpiresIn) * time.Second)}, nil
}

func (a *account) UploadData(ctx context.Context, db *powersync.DB) error {
	next, found, err := db.NextTransaction(ctx)
	if err != nil || !found {
		return err
	}
	body, err := json.Marshal(map[string]any{"batch": batchOf(next)})
	if err != nil {
		return err
	}
	if _, err := a.post(ctx, "/v1/sync/powersync-upload", body); err != nil {
		return err
	}
	return db.Complete(ctx, next)
}

// batchOf is a transaction as the contract has it.
func batchOf(t powersync.Transaction) []map[string]any {
	var batch []map[string]any
	for _, m := range t.Mutations {
		batch = append(batch, map[string]any{"op_id": m.OpID, "tx_id": m.TxID, "op": m.Kind, "type": m.Table, "id": m.ID, "data": m.Data})
	}
	return batch
}

// quick has tests not wait.
func quick() powersync.Option { return powersync.WithRetry(10*time.Millisecond, 200*time.Millisecond) }

// shelve returns when a database shows these books, in the order of their titles.
func shelve(t testing.TB, db *powersync.DB, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for range db.Changes(ctx, "books") {
		if got = titles(t, db); cmp.Equal(got, want) {
			return
		}
	}
	t.Fatalf("books %q, want %q; %+v", got, want, db.Status())
}

func titles(t testing.TB, db *powersync.DB) []string {
	t.Helper()
	var all []string
	err := db.Read(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT title || coalesce(' by ' || author, '') FROM books ORDER BY title`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var title string
			if err := rows.Scan(&title); err != nil {
				return err
			}
			all = append(all, title)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWithRealServer is the life of a user's two devices, in each encoding of the stream.
func TestWithRealServer(t *testing.T) {
	papyrus := program.Start(t, "all", nil).URL("papyrus")
	for name, options := range map[string][]powersync.Option{
		"BSON":  {quick(), powersync.WithContentChecksums()},
		"lines": {quick(), powersync.WithContentChecksums(), powersync.WithLines()},
	} {
		t.Run(name, func(t *testing.T) {
			owner := register(t, papyrus)
			phone, tablet := open(t, t.TempDir(), options...), open(t, t.TempDir(), options...)
			emma, persuasion := uuid.NewString(), uuid.NewString()
			run(t, phone, `INSERT INTO books (id, title, author) VALUES ('`+emma+`', 'Emma', 'Austen')`,
				`INSERT INTO books (id, title, page_count) VALUES ('`+persuasion+`', '', 7)`)
			phone.Connect(owner)
			shelve(t, phone, "Emma by Austen", "Untitled Book") // as the server has it
			tablet.Connect(owner)
			shelve(t, tablet, "Emma by Austen", "Untitled Book")
			run(t, tablet, `UPDATE books SET title = 'Persuasion' WHERE id = '`+persuasion+`'`)
			shelve(t, phone, "Emma by Austen", "Persuasion")

			tablet.Disconnect()
			run(t, tablet, `UPDATE books SET author = 'Jane Austen' WHERE id = '`+emma+`'`)
			run(t, tablet, `INSERT INTO books (id, title) VALUES ('`+uuid.NewString()+`', 'Lady Susan')`)
			run(t, tablet, `UPDATE books SET page_count = 8 WHERE id = '`+persuasion+`'`)
			run(t, phone, `UPDATE books SET author = 'Miss Austen', title = 'Emma Woodhouse' WHERE id = '`+emma+`'`)
			run(t, phone, `DELETE FROM books WHERE id = '`+persuasion+`'`)
			synced(t, phone)
			tablet.Connect(owner)
			shelve(t, tablet, "Emma Woodhouse by Jane Austen", "Lady Susan")
			shelve(t, phone, "Emma Woodhouse by Jane Austen", "Lady Susan")
			for _, db := range []*powersync.DB{phone, tablet} {
				synced(t, db)
				if s := db.Status(); !s.Connected || s.DownloadError != nil || s.UploadError != nil || s.LastSyncedAt.IsZero() {
					t.Errorf("status %+v", s)
				}
			}
		})
	}
}

func synced(t testing.TB, db *powersync.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := db.AwaitSynced(ctx); err != nil {
		t.Fatalf("not synced: %v; %+v", err, db.Status())
	}
}
