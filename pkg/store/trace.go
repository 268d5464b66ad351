package store

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"modernc.org/sqlite"

	"github.com/provisioner/provisioner/pkg/tracing"
)

// Names of the engines in spans (OpenTelemetry's conventions for databases).
var (
	systemSQLite   = attribute.String("db.system.name", "sqlite")
	systemPostgres = attribute.String("db.system.name", "postgresql")
)

// startStatement begins the span of a statement, if ctx belongs to one that is recorded. The text is one of this package, and holds no
// values; arguments are not recorded. Whoever starts one ends it with endStatement and the returned context.
func startStatement(ctx context.Context, system attribute.KeyValue, statement string) context.Context {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx
	}
	name := summary(statement)
	ctx, span := parent.TracerProvider().Tracer(tracing.Scope).Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(system, attribute.String("db.query.summary", name), attribute.String("db.query.text", statement)))
	return context.WithValue(ctx, statementKey{}, span)
}

// statementKey keeps the span of a statement apart from that of its caller.
type statementKey struct{}

// endStatement ends the span that startStatement began, if it did. Of an error only the code is recorded: its text may hold values.
func endStatement(ctx context.Context, err error) {
	span, ok := ctx.Value(statementKey{}).(trace.Span)
	if !ok {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(tracing.ErrorType(err))
		if code := errorCode(err); code != "" {
			span.SetAttributes(attribute.String("db.response.status_code", code))
		}
	}
	span.End()
}

func errorCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return sqlite.ErrorCodeString[e.Code()]
	}
	return ""
}

// target finds the first table of a statement.
var target = regexp.MustCompile(`(?i)\b(?:INTO|FROM|UPDATE|TABLE)\s+([a-z_]+)`)

// summary names a statement by its first word and its first table: "INSERT nonces".
func summary(statement string) string {
	verb, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
	name := strings.ToUpper(strings.TrimRight(verb, ";"))
	if found := target.FindStringSubmatch(statement); found != nil {
		name += " " + found[1]
	}
	return name
}

// postgresTracer has pgx tell of statements.
type postgresTracer struct{}

// TraceQueryStart implements [pgx.QueryTracer].
func (postgresTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return startStatement(ctx, systemPostgres, q.SQL)
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (postgresTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	endStatement(ctx, q.Err)
}
