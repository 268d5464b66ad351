package receiver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/provision"
	"github.com/provisioner/provisioner/pkg/replay"
	"github.com/provisioner/provisioner/pkg/signing"
	"github.com/provisioner/provisioner/pkg/timekey"
)

// challenged names the scheme of the inbox in a 401 (RFC 9110 §11.6.1).
func challenged(c echo.Context, err error) error {
	if apierror.From(err).Status == http.StatusUnauthorized {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Signature")
	}
	return err
}

// readSigned reads the signature headers and then the raw body, once (contract: provisioning, section 1 step 1).
func readSigned(c echo.Context, limit int64) (signing.Headers, []byte, error) {
	headers, err := signing.FromHTTP(c.Request().Header)
	if err != nil {
		return signing.Headers{}, nil, provision.ErrMissingAuthHeaders.With(err)
	}
	if err := httpapi.RequireIdentity(c); err != nil {
		return signing.Headers{}, nil, err
	}
	body, err := httpapi.ReadBody(c, limit)
	if err != nil {
		return signing.Headers{}, nil, err
	}
	return headers, body, httpapi.RequireIdentity(c) // trailers show only after the body
}

// signature verifies requests, and tells the causes of refusals apart for the operator alone.
type signature struct {
	verifier *signing.Verifier
	log      *slog.Logger
	refusals *prometheus.CounterVec
}

func newSignature(v *signing.Verifier, log *slog.Logger, metrics prometheus.Registerer) signature {
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "provisioner_signature_refusals_total",
		Help: "Requests refused for their signature, by cause.",
	}, []string{"cause"})
	for _, cause := range causes {
		refusals.WithLabelValues(cause.label) // so that the first one shows as an increase
	}
	metrics.MustRegister(refusals)
	return signature{verifier: v, log: log, refusals: refusals}
}

var causes = []struct {
	err   error
	label string
}{
	{signing.ErrTimestamp, "timestamp"},
	{signing.ErrUnknownKey, "key_id"},
	{signing.ErrMalformed, "malformed"},
	{signing.ErrMismatch, "mismatch"},
}

// verify returns the request for its domain, or STALE_TIMESTAMP or INVALID_SIGNATURE.
func (s signature) verify(ctx context.Context, h signing.Headers, body []byte) (provision.Inbound, error) {
	verified, err := s.verifier.Verify(h, body)
	if err != nil {
		s.note(ctx, err)
		if errors.Is(err, signing.ErrTimestamp) {
			return provision.Inbound{}, provision.ErrStaleTimestamp.With(err)
		}
		return provision.Inbound{}, provision.ErrInvalidSignature.With(err)
	}
	return provision.Inbound{
		Nonce: timekey.New(verified.At, verified.Signature), NonceExpires: verified.At.Add(s.verifier.Window() + replay.Margin), Body: body,
	}, nil
}

func (s signature) note(ctx context.Context, err error) {
	for _, cause := range causes {
		if errors.Is(err, cause.err) {
			s.refusals.WithLabelValues(cause.label).Inc()
			s.log.WarnContext(ctx, "signature refused", "cause", cause.label, "err", err)
		}
	}
}
