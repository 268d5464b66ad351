package store

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/provisioner/provisioner/pkg/event"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/secret"
	"github.com/provisioner/provisioner/test/postgres"
)

// TestStatementsAreRecorded holds that both engines record the statements of a transaction, and of them no argument.
func TestStatementsAreRecorded(t *testing.T) {
	for name, config := range map[string]Config{
		"sqlite":     {Engine: SQLite, Path: filepath.Join(t.TempDir(), "p.db"), Traced: true},
		"postgresql": {Engine: Postgres, URL: secret.New(postgres.NewDatabase(t)), Traced: true},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			recorder := tracetest.NewSpanRecorder()
			ctx, root := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("").Start(t.Context(), "POST /inbox")
			admitAndList(ctx, t, db)
			root.End()

			var names []string
			for _, s := range recorder.Ended() {
				if s.Name() == "POST /inbox" {
					continue
				}
				names = append(names, s.Name())
				if s.Parent().SpanID() != root.SpanContext().SpanID() {
					t.Errorf("%s is not the request's", s.Name())
				}
				for _, a := range s.Attributes() {
					if a.Key == "db.system.name" && a.Value.AsString() != name || a.Value.AsString() == "reader" {
						t.Errorf("%s: %s = %s", s.Name(), a.Key, a.Value.AsString())
					}
				}
			}
			want := []string{"BEGIN", "INSERT nonces", "INSERT event_digests", "INSERT events", "COMMIT", "SELECT events"}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

// admitAndList writes an event, and reads it.
func admitAndList(ctx context.Context, t *testing.T, db *DB) {
	t.Helper()
	now := time.Now()
	e := &event.Event{UserID: "reader", Action: "ping", SentAt: now, ReceivedAt: now, Body: []byte(`{}`)}
	if _, err := db.Admit(ctx, []replay.Admission{{Expires: now, Event: e}}); err != nil {
		t.Fatal(err)
	}
	for _, err := range db.Events(ctx, event.Filter{UserID: "reader"}) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFailuresAreRecordedByCode holds that of a refusal the code is recorded, and the text, which holds values, is not.
func TestFailuresAreRecordedByCode(t *testing.T) {
	db, err := Open(t.Context(), Config{Engine: Postgres, URL: secret.New(postgres.NewDatabase(t)), Traced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	recorder := tracetest.NewSpanRecorder()
	ctx, root := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("").Start(t.Context(), "GET /")
	if _, err := db.write.ExecContext(ctx, `SELECT $1::uuid`, "reader"); err == nil {
		t.Error("no uuid was taken")
	}
	root.End()
	span := recorder.Ended()[0]
	if !slices.ContainsFunc(span.Attributes(), func(a attribute.KeyValue) bool { return a.Value.AsString() == "22P02" }) ||
		span.Status().Description != "" || len(span.Events()) > 0 {
		t.Errorf("%v %+v %v", span.Attributes(), span.Status(), span.Events())
	}
}

func TestSummary(t *testing.T) {
	for statement, want := range map[string]string{
		insertNonces: "INSERT nonces", insertClaim: "INSERT idempotency_claims", takeClaim: "UPDATE idempotency_claims",
		releaseClaim: "DELETE idempotency_claims", "begin": "BEGIN", "\n\tcommit;": "COMMIT", "": "",
	} {
		if got := summary(statement); got != want {
			t.Errorf("summary(%q) = %q, want %q", statement, got, want)
		}
	}
}

// TestSharedCommitsAreRecorded holds that the commit of a group shows in the trace of each of its requests.
func TestSharedCommitsAreRecorded(t *testing.T) {
	db, err := Open(t.Context(), Config{Engine: SQLite, Path: filepath.Join(t.TempDir(), "p.db"), Traced: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("")
	var group []*transaction
	for range 2 {
		ctx, span := tracer.Start(t.Context(), "POST /send")
		defer span.End()
		group = append(group, &transaction{ctx: ctx, work: func(context.Context, *sql.Tx) error { return nil }})
	}
	g := &groupCommit{write: db.write}
	if ran, err := g.together(group); !ran || err != nil {
		t.Fatal(ran, err)
	}
	var names []string
	for _, s := range recorder.Ended() {
		names = append(names, s.Name())
	}
	if diff := cmp.Diff([]string{"BEGIN", "COMMIT", "commit together"}, names); diff != "" {
		t.Fatalf("spans (-want +got):\n%s", diff)
	}
	if shared := recorder.Ended()[2]; len(shared.Links()) != 1 || !shared.Parent().IsValid() {
		t.Errorf("parent %v, links %v", shared.Parent(), shared.Links())
	}
}
