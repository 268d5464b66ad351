package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/ratelimit/redislimit"
)

const (
	askFor    = 5 * time.Second
	maxAnswer = 1 << 20
)

// peer is a server that the installation calls. It is asked without credentials: any answer of its own will do.
type peer struct {
	setting string
	url     *url.URL
	path    string
}

func peersOf(in *Installation) []peer {
	c := in.Config
	all := []peer{
		{"RECEIVER_WORKER_URL", c.Forward.URL, "/health"},
		{"SUPABASE_URL", c.Supabase.URL, "/auth/v1/health"},
	}
	if c.Provider.ClientID != "" {
		all = append(all, peer{"OIDC_ISSUER", c.Provider.Issuer, "/.well-known/openid-configuration"})
	}
	if c.ExternalPowerSync() {
		all = append(all, peer{"POWERSYNC_SERVICE_URL", c.PowerSync.URL, "/probes/liveness"})
	}
	return all
}

// peers asks each server that is called, and compares its clock with this one.
func peers(ctx context.Context, in *Installation) []Finding {
	var found []Finding
	for _, p := range peersOf(in) {
		if p.url == nil {
			continue
		}
		sent := in.Now()
		resp, err := get(ctx, in.Transport, p.url.JoinPath(p.path).String())
		if err != nil {
			found = append(found, failure(p.setting, "cannot be reached: "+err.Error(), "start the server, or set the address right"))
			continue
		}
		if resp.status >= http.StatusInternalServerError {
			found = append(found, warning(p.setting, "answers "+strconv.Itoa(resp.status), "look into the log of that server"))
		}
		if date, err := http.ParseTime(resp.header.Get("Date")); err == nil {
			found = append(found, clock(p.setting, ahead(sent, in.Now(), date, date.Add(time.Second)))...)
		}
	}
	return found
}

const (
	slightSkew = 5 * time.Second
	badSkew    = time.Minute // what PowerSync Services and JWT libraries let pass; signatures have five minutes
)

// ahead returns how far another clock is ahead of ours at least, negative for behind, when between sent and received it showed a time
// from earliest to latest. Within what the round trip explains it is 0.
func ahead(sent, received, earliest, latest time.Time) time.Duration {
	switch {
	case earliest.After(received):
		return earliest.Sub(received)
	case latest.Before(sent):
		return -sent.Sub(latest)
	}
	return 0
}

func clock(subject string, ahead time.Duration) []Finding {
	if ahead.Abs() < slightSkew {
		return nil
	}
	word := "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	problem := fmt.Sprintf("has a clock that is %s %s this machine's", ahead.Abs().Round(time.Second), word)
	const remedy = "run a time service (chrony, systemd-timesyncd) on both: signatures and tokens are good for minutes"
	if ahead.Abs() > badSkew {
		return []Finding{failure(subject, problem, remedy)}
	}
	return []Finding{warning(subject, problem, remedy)}
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get asks without credentials, and follows no redirect. Its errors name no more of the URL than the host.
func get(ctx context.Context, transport http.RoundTripper, address string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, errors.New("the address is no URL")
	}
	req.Close = true
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return answer{resp.StatusCode, resp.Header, body}, err
}

// keysAt returns the keys that a server publishes.
func keysAt(ctx context.Context, in *Installation, address string) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	resp, err := get(ctx, in.Transport, address)
	switch {
	case err != nil:
		return set, fmt.Errorf("cannot be fetched: %w", err)
	case resp.status != http.StatusOK:
		return set, fmt.Errorf("answers %d", resp.status)
	case json.Unmarshal(resp.body, &set) != nil:
		return set, errors.New("answers something that is no key set")
	}
	return set, nil
}

// providerKeys looks for the keys by which the receiver judges users' JWTs by itself.
func providerKeys(ctx context.Context, in *Installation) []Finding {
	c := in.Config.Supabase
	if c.URL == nil || c.Validation != config.ValidateLocal || c.JWTSecret.IsSet() {
		return nil
	}
	set, err := keysAt(ctx, in, c.URL.JoinPath("auth/v1/.well-known/jwks.json").String())
	const subject, remedy = "SUPABASE_URL", "use the project's signing keys (Supabase's dashboard, JWT keys), or set SUPABASE_JWT_SECRET, or JWT_VALIDATION=remote"
	switch {
	case err != nil:
		return []Finding{failure(subject, "has keys for JWT_VALIDATION=local that "+err.Error(), remedy)}
	case len(set.Keys) == 0:
		return []Finding{failure(subject, "publishes no keys, and JWT_VALIDATION is local", remedy)}
	}
	return nil
}

// mailServer waits for the greeting of the mail server, and signs in to nothing.
func mailServer(ctx context.Context, in *Installation) []Finding {
	c := in.Config.SMTP
	if c.Host == "" {
		return nil
	}
	if err := greeted(ctx, c); err != nil {
		return []Finding{warning("SMTP_HOST", "cannot be reached: "+err.Error(), "set SMTP_HOST, SMTP_PORT and SMTP_TLS as the server has them; mail waits meanwhile")}
	}
	return nil
}

func greeted(ctx context.Context, c config.SMTP) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	dial := (&net.Dialer{}).DialContext
	if c.TLS == "tls" {
		dial = (&tls.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(c.Host, strconv.FormatInt(c.Port, 10)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	greeting := make([]byte, 4)
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return err
	}
	if string(greeting[:3]) != "220" {
		return errors.New("it greets with " + strconv.Quote(string(greeting[:3])))
	}
	return nil
}

// redisServer asks Redis for a sign of life. Without it limits are counted in each process, so that is a warning.
func redisServer(ctx context.Context, in *Installation) []Finding {
	url := in.Config.RedisURL
	if !url.IsSet() {
		return nil
	}
	limiter, err := redislimit.Open(url.Reveal())
	if err == nil {
		defer func() { _ = limiter.Close() }()
		err = limiter.Ping(ctx)
	}
	if err != nil {
		return []Finding{warning("REDIS_URL", "does not answer: "+err.Error(), "start the server, or set its address and password right; until then each process counts limits by itself")}
	}
	return nil
}
