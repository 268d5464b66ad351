package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/provisioner/provisioner/pkg/secret"
)

// The parsers of values. Their errors complete "NAME …"; as a value may be a secret that was put into the wrong setting,
// they never repeat it.

const (
	day          = 24 * time.Hour
	maxBodyLimit = 64 << 20
)

func parseText(text string) (string, error) { return text, nil }

func parseBool(text string) (bool, error) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("is neither true nor false")
	}
	return b, nil
}

func oneOf[T ~string](values ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		names := make([]string, len(values))
		for i, v := range values {
			if text == string(v) {
				return v, nil
			}
			names[i] = string(v)
		}
		return "", errors.New("is none of " + strings.Join(names, ", "))
	}
}

func parseLevel(text string) (slog.Level, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[text]
	if !ok {
		return 0, errors.New("is none of debug, info, warn, error")
	}
	return level, nil
}

// hostName matches what may stand before the port of an address, beside an IP address and nothing.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func parseAddr(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("is not host:port")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName.MatchString(host) {
		return "", errors.New("has a host that is neither a name nor an IP address")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("has a port that is no number from 0 to 65535")
	}
	return text, nil
}

func parseDuration(least time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errors.New("is not a duration such as 8s or 1h30m")
		}
		if d < least {
			return 0, fmt.Errorf("is less than %s", least)
		}
		return d, nil
	}
}

// parseDurationWithin is parseDuration with an upper bound.
func parseDurationWithin(least, most time.Duration) func(string) (time.Duration, error) {
	parse := parseDuration(least)
	return func(text string) (time.Duration, error) {
		d, err := parse(text)
		if err == nil && d > most {
			err = fmt.Errorf("is more than %s", most)
		}
		return d, err
	}
}

// parseUnits reads a whole number of units, at least one and at most as many as make up most.
func parseUnits(unit, most time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		n, err := parseInt(text, int64(most/unit))
		return time.Duration(n) * unit, err
	}
}

func parseBodyLimit(text string) (int64, error) { return parseInt(text, maxBodyLimit) }

func parseInt(text string, most int64) (int64, error) { return parseIntWithin(1, most)(text) }

func parseIntWithin(least, most int64) func(string) (int64, error) {
	return func(text string) (int64, error) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("is not a whole number from %d to %d", least, most)
		}
		return n, nil
	}
}

func parseRatio(text string) (float64, error) {
	ratio, err := strconv.ParseFloat(text, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) { // not a number is neither
		return 0, errors.New("is not a number from 0 to 1")
	}
	return ratio, nil
}

// parseHeaders reads name=value pairs with commas between, values percent-encoded (OpenTelemetry: OTLP exporter, after W3C Baggage).
func parseHeaders(text string) (map[string]secret.Text, error) {
	headers := map[string]secret.Text{}
	for pair := range strings.SplitSeq(text, ",") {
		name, encoded, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("is not of the form name=value,name=value with percent-encoded values")
		}
		headers[name] = secret.New(value)
	}
	return headers, nil
}

var apiPrefix = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+$`)

// parsePrefix reads the beginning of paths; those of the Supabase API stay its own.
func parsePrefix(text string) (string, error) {
	text = strings.TrimRight(text, "/")
	switch first, _, _ := strings.Cut(strings.TrimPrefix(text, "/"), "/"); {
	case !apiPrefix.MatchString(text):
		return "", errors.New("is not a path such as /v1")
	case first == "auth" || first == "functions":
		return "", errors.New("begins with /auth or /functions, where the Supabase API is")
	}
	return text, nil
}

func parseRate(text string) (Rate, error) {
	if text == "off" {
		return Rate{}, nil
	}
	count, period, _ := strings.Cut(text, "/")
	n, errCount := strconv.Atoi(count)
	d, errPeriod := time.ParseDuration(period)
	if errCount != nil || errPeriod != nil || n < 1 || d <= 0 {
		return Rate{}, errors.New("is not a rate such as 100/10m, nor off")
	}
	return Rate{Count: n, Period: d}, nil
}

// parseList reads a JSON array of strings, or comma-separated text. Blank entries of the latter do not count.
func parseList(text string) ([]string, error) {
	if strings.HasPrefix(text, "[") {
		var entries []string
		if err := decodeJSON(text, &entries); err != nil {
			return nil, errors.New("is neither a JSON array of strings nor comma-separated text")
		}
		return entries, nil
	}
	var entries []string
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

func parsePrefixes(text string) ([]netip.Prefix, error) {
	entries, err := parseList(text)
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for i, entry := range entries {
		if addr, err := netip.ParseAddr(entry); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(entry)
		if err != nil {
			return nil, fmt.Errorf("has an entry (number %d) that is neither an IP address nor a network such as 10.0.0.0/8", i+1)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

func parseTiers(text string) ([]Tier, error) {
	var tiers []Tier
	if err := decodeJSON(text, &tiers); err != nil {
		return nil, errors.New(`is not a JSON array of {"name", "keys", "per_minute"}`)
	}
	if len(tiers) == 0 {
		return nil, errors.New("has no tier")
	}
	seen := map[string]bool{}
	for i, t := range tiers {
		switch {
		case t.Name == "":
			return nil, fmt.Errorf("has a tier (number %d) without a name", i+1)
		case seen[t.Name]:
			return nil, fmt.Errorf("has two tiers of one name (the second is number %d)", i+1)
		case t.Keys < 1 || t.PerMinute < 1:
			return nil, fmt.Errorf("has a tier (number %d) whose keys or per_minute is less than 1", i+1)
		}
		seen[t.Name] = true
	}
	return tiers, nil
}

var keyPrefix = regexp.MustCompile(`^[A-Za-z0-9_]{1,16}$`)

func parseKeyPrefix(text string) (string, error) {
	if !keyPrefix.MatchString(text) {
		return "", errors.New("is not 1 to 16 of A-Z, a-z, 0-9 and _")
	}
	return text, nil
}

// decodeJSON decodes text whole, refusing unknown members and anything after the value.
func decodeJSON(text string, into any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
