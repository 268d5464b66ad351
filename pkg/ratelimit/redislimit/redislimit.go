// Package redislimit counts rate limits in Redis, so that they hold for all replicas together.
package redislimit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/provisioner/provisioner/pkg/ratelimit"
)

const (
	keyPrefix = "provisioner:ratelimit:"
	timeout   = 100 * time.Millisecond // a limiter that is slower than this is as good as down
)

// gcra is the generic cell rate algorithm: the key holds the theoretical arrival time of the next event, in microseconds of
// Redis's own clock. It returns allowed, remaining, reset and retry-after, the last two in microseconds.
var gcra = redis.NewScript(`
local interval, count, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = math.max(arrival + (n == 0 and 1 or n) * interval, now)
local wait = after - count * interval - now
local allowed = wait <= 0
if allowed and n ~= 0 then
  arrival = after
  redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
end
local remaining = math.floor((count * interval - (arrival - now)) / interval)
return {allowed and 1 or 0, math.max(remaining, 0), arrival - now, math.max(wait, 0)}
`)

// Limiter counts in Redis.
type Limiter struct {
	client *redis.Client
}

// Open returns a Limiter on the server that url names (redis:// or rediss://). It does not wait for the server: its
// outages are errors of Take.
func Open(url string) (*Limiter, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("not a Redis URL") // the cause could quote its password
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout = timeout, timeout, timeout
	options.PoolTimeout, options.MaxRetries, options.DialerRetries = timeout, -1, 1
	logging.Disable() // the client's own lines on stderr: an outage is told once, by ratelimit.Shared
	return &Limiter{client: redis.NewClient(options)}, nil
}

// Take implements [ratelimit.Limiter].
func (l *Limiter) Take(ctx context.Context, key string, limit ratelimit.Limit, n int) (ratelimit.Decision, error) {
	if limit.Off() {
		return ratelimit.Unlimited, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	interval := limit.Period.Microseconds() / int64(limit.Count)
	out, err := gcra.Run(ctx, l.client, []string{keyPrefix + key}, interval, limit.Count, n).Int64Slice()
	if err != nil || len(out) != 4 {
		return ratelimit.Decision{}, fmt.Errorf("rate limit in Redis: %w", err)
	}
	return ratelimit.Decision{
		Allowed: out[0] == 1, Limit: limit.Count, Remaining: int(out[1]),
		Reset: time.Duration(out[2]) * time.Microsecond, RetryAfter: time.Duration(out[3]) * time.Microsecond,
	}, nil
}

// Close closes the connections.
func (l *Limiter) Close() error { return l.client.Close() }

// Ping asks the server for a sign of life.
func (l *Limiter) Ping(ctx context.Context) error { return l.client.Ping(ctx).Err() }
