package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	syncclient "github.com/provisioner/provisioner/pkg/client/powersync"
	"github.com/provisioner/provisioner/test/powersync"
	"github.com/provisioner/provisioner/test/program"
)

// BenchmarkClientAndSDKFirst has new devices of our client and of PowerSync's SDK, each in a process of its own, take turns at a library of
// 20,000 books. It reports the medians of the time from connecting to having all, and of the most memory that the process ever had, and
// how many times more the SDK takes.
func BenchmarkClientAndSDKFirst(b *testing.B) {
	const books = 20_000
	p := start(b, "papyrus", program.Settings{"LOG_LEVEL": "warn"})
	u := newStreamUsers(b, p, 1)[0]
	for range books / 1000 {
		u.upload(1000)
	}
	for _, encoding := range []string{"ndjson", "bson"} {
		b.Run(encoding, func(b *testing.B) {
			var ours, theirs []cost
			for b.Loop() {
				ours = append(ours, ourFirstSync(b, u.reader, u.papyrus, encoding, books))
				theirs = append(theirs, theirFirstSync(b, u.reader, u.papyrus, encoding, books))
			}
			our, their := medians(ours), medians(theirs)
			for unit, value := range map[string]float64{
				"our-s": our.Seconds, "sdk-s": their.Seconds, "sdk-times-our-s": their.Seconds / our.Seconds,
				"our-MiB": our.KiB / 1024, "sdk-MiB": their.KiB / 1024, "sdk-times-our-MiB": their.KiB / our.KiB,
			} {
				b.ReportMetric(value, unit)
			}
		})
	}
}

// cost is what a first sync takes: the time, and the most memory that the process ever had.
type cost struct{ Seconds, KiB float64 }

func medians(costs []cost) cost {
	half := func(of func(cost) float64) float64 {
		var values []float64
		for _, c := range costs {
			values = append(values, of(c))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return cost{half(func(c cost) float64 { return c.Seconds }), half(func(c cost) float64 { return c.KiB })}
}

func theirFirstSync(b *testing.B, u *reader, papyrus, encoding string, books int) cost {
	b.Helper()
	node := powersync.Start(b)
	device := node.NewDevice(rand.Text(), powersync.Options{Backend: papyrus, Encoding: encoding, Checkpoints: "legacy"})
	began := time.Now()
	connect(device, u)
	synced := device.Await([]map[string]int{{"n": books}}, "SELECT count(*) AS n FROM books")
	return cost{synced.Sub(began).Seconds(), mustMemory(b, node.PID)}
}

func mustMemory(b *testing.B, pid int) float64 {
	b.Helper()
	kb, err := program.MemoryOf(pid, "VmHWM")
	if err != nil {
		b.Fatal(err)
	}
	return kb
}

// firstSyncDir is in the environment of a process that is [firstSync].
const firstSyncDir = "FIRST_SYNC_DIR"

// firstSyncInput is what such a process reads.
type firstSyncInput struct {
	Papyrus, Email, Password, Encoding string
	Books                              int
}

func ourFirstSync(b *testing.B, u *reader, papyrus, encoding string, books int) cost {
	b.Helper()
	in, err := json.Marshal(firstSyncInput{papyrus, u.email, u.password, encoding, books})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{firstSyncDir + "=" + b.TempDir()}
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	var c cost
	if err := json.Unmarshal(out, &c); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return c
}

// firstSync is a process with a new device of our client. It prints what its first sync cost, and returns its exit code.
func firstSync() int {
	var in firstSyncInput
	err := json.NewDecoder(os.Stdin).Decode(&in)
	if err == nil {
		err = in.sync(context.Background(), os.Getenv(firstSyncDir))
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func (in firstSyncInput) sync(ctx context.Context, dir string) error {
	var options []syncclient.Option
	if in.Encoding == "ndjson" {
		options = append(options, syncclient.WithLines())
	}
	d, err := signInGoDevice(ctx, dir, in.Papyrus, in.Email, in.Password, options...)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()

	began := time.Now()
	d.connect()
	for range d.Changes(ctx, "books") {
		var n int
		err := d.Read(ctx, func(tx *sql.Tx) error { return tx.QueryRowContext(ctx, `SELECT count(*) FROM books`).Scan(&n) })
		if err != nil {
			return err
		}
		if n == in.Books {
			break
		}
	}
	took := time.Since(began)
	peak, err := program.MemoryOf(os.Getpid(), "VmHWM")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(cost{took.Seconds(), peak})
}
