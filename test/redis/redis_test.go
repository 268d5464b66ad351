package redis_test

import (
	"net"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/provisioner/provisioner/test/redis"
)

func TestServerOutage(t *testing.T) {
	server := redis.Start(t)
	options, err := goredis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() }) // nothing is pending
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}

	server.Stop()
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		t.Error("a stopped server takes connections")
		_ = conn.Close()
	}

	server.Start()
	if n, err := client.Exists(t.Context(), "key").Result(); n != 0 || err != nil {
		t.Errorf("Exists(key) = %d, %v, want an empty server", n, err)
	}
}
