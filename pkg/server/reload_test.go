package server

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/prometheus/client_golang/prometheus"
)

func TestReloadWaitsUntilFilesSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reloads atomic.Int32
		r := newReloader(NewLogger(&logBuffer{}, "json", 0), prometheus.NewRegistry())
		r.funcs = append(r.funcs, func() error { reloads.Add(1); return nil })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		events, errs := make(chan fsnotify.Event), make(chan error)
		go r.loop(ctx, events, errs, func(e fsnotify.Event) bool { return e.Name == "secret" })

		for _, step := range []struct {
			name string
			do   func()
			want int32
		}{
			{"a burst", func() {
				for range 10 {
					events <- fsnotify.Event{Name: "secret"}
					time.Sleep(settleTime - time.Millisecond)
				}
			}, 0},
			{"the end of the burst", func() { time.Sleep(time.Millisecond) }, 1},
			{"another file", func() { events <- fsnotify.Event{Name: "other"}; time.Sleep(time.Second) }, 1},
			{"lost events", func() { errs <- fsnotify.ErrEventOverflow; time.Sleep(time.Second) }, 2},
			{"a request", r.request, 3},
		} {
			step.do()
			synctest.Wait()
			if got := reloads.Load(); got != step.want {
				t.Fatalf("%d reloads after %s, want %d", got, step.name, step.want)
			}
		}
	})
}

// mount lays files out as Kubernetes mounts a Secret: by way of a link to a directory of this version.
func mount(t *testing.T, dir, version, value string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "..data")
	old, _ := os.Readlink(data)
	must(os.Mkdir(filepath.Join(dir, version), 0o700))
	must(os.WriteFile(filepath.Join(dir, version, "SHARED_SECRET"), []byte(value), 0o600))
	must(os.Symlink(version, data+"_tmp"))
	must(os.Rename(data+"_tmp", data))
	if old == "" {
		must(os.Symlink("..data/SHARED_SECRET", filepath.Join(dir, "SHARED_SECRET")))
		return
	}
	must(os.RemoveAll(filepath.Join(dir, old)))
}

func TestReloadOnChangedFiles(t *testing.T) {
	rename := func(t *testing.T, dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "new~"), []byte("two"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new~"), filepath.Join(dir, "SHARED_SECRET")); err != nil {
			t.Fatal(err)
		}
	}
	swap := func(t *testing.T, dir string) { t.Helper(); mount(t, dir, "..2026_2", "two") }
	for _, tt := range []struct {
		name, watched string
		change        func(t *testing.T, dir string)
	}{
		{"Kubernetes swaps a watched directory", "", swap},
		{"Kubernetes swaps a watched file", "SHARED_SECRET", swap},
		{"an editor renames over a watched file", "SHARED_SECRET", rename},
		{"an editor renames over a file of a watched directory", "", rename},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			mount(t, dir, "..2026_1", "one")
			var reloads atomic.Int32
			var seen atomic.Value
			r := newReloader(NewLogger(&logBuffer{}, "json", 0), prometheus.NewRegistry())
			r.funcs = append(r.funcs, func() error {
				value, err := os.ReadFile(filepath.Join(dir, "SHARED_SECRET"))
				seen.Store(string(value))
				reloads.Add(1)
				return err
			})
			r.paths = []string{filepath.Join(dir, tt.watched)}

			w, err := watch(r.paths, r.log)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); r.loop(ctx, w.Events, w.Errors, w.concerns) }()
			tt.change(t, dir)
			eventually(t, "the change is seen", func() bool { return seen.Load() == "two" })
			cancel()
			receive(t, ended)
			if err := w.Close(); err != nil || reloads.Load() != 1 {
				t.Errorf("%d reloads, Close() = %v", reloads.Load(), err)
			}
		})
	}
}

func TestReloadIgnoresOtherFiles(t *testing.T) {
	w := watcher{files: map[string]bool{"/d/.dev.vars": true}, dirs: map[string]bool{"/s": true}}
	for _, tt := range []struct {
		name  string
		event fsnotify.Event
		want  bool
	}{
		{"the file is written", fsnotify.Event{Name: "/d/.dev.vars", Op: fsnotify.Write}, true},
		{"its neighbour is written", fsnotify.Event{Name: "/d/provisioner.db", Op: fsnotify.Write}, false},
		{"its mode changes", fsnotify.Event{Name: "/d/.dev.vars", Op: fsnotify.Chmod}, false},
		{"a file of the directory is removed", fsnotify.Event{Name: "/s/KEY", Op: fsnotify.Remove}, true},
		{"a mounted volume changes", fsnotify.Event{Name: "/d/..data", Op: fsnotify.Create}, true},
	} {
		if got := w.concerns(tt.event); got != tt.want {
			t.Errorf("%s: concerns() = %t", tt.name, got)
		}
	}
}

func TestBadReloadGoesOn(t *testing.T) {
	var bad atomic.Bool
	bad.Store(true)
	r := newRig(t, http.NotFoundHandler())
	r.OnReload(func() error {
		if bad.Load() {
			return errors.New("SIGNING_KEYS is not JSON")
		}
		return nil
	}, filepath.Join(t.TempDir(), "missing", "file"))
	var others atomic.Int32
	r.OnReload(func() error { others.Add(1); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)
	shows := func(lines ...string) bool {
		metrics := r.get(t, "admin", "/metrics").body
		return !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(metrics, line) })
	}

	r.signals <- syscall.SIGHUP
	eventually(t, "the failure shows", func() bool {
		return shows(`provisioner_reloads_total{result="failed"} 1`, `provisioner_reloads_total{result="ok"} 0`, "provisioner_reload_failed 1")
	})
	if a := r.get(t, "admin", "/readyz"); a.status != http.StatusOK {
		t.Errorf("/readyz after a failed reload = %d", a.status)
	}
	bad.Store(false)
	r.signals <- syscall.SIGHUP
	eventually(t, "the success shows", func() bool {
		return shows(`provisioner_reloads_total{result="ok"} 1`, "provisioner_reload_failed 0", "provisioner_reload_last_success_timestamp_seconds 1.")
	})
	for _, want := range []string{"a path is not watched", "SIGNING_KEYS is not JSON"} {
		if !strings.Contains(r.logged.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, r.logged)
		}
	}
	cancel()
	if err := r.wait(t); err != nil || others.Load() != 2 {
		t.Errorf("Run() = %v; the other function was called %d times", err, others.Load())
	}
}

func TestHangupWithoutReload(t *testing.T) {
	r := newRig(t, http.NotFoundHandler())
	ctx, cancel := context.WithCancel(t.Context())
	r.run(ctx, t)
	r.signals <- syscall.SIGHUP
	eventually(t, "the log says so", func() bool { return strings.Contains(r.logged.String(), "nothing to reload") })
	cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}
