package e2e_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
)

func TestServeAllStarts(t *testing.T) {
	const limit, starts = 150 * time.Millisecond, 5
	p := newProcess(t, "all", program.Settings{"LOG_LEVEL": "info"})
	t.Logf("first start, on an empty directory: ready after %v", timeStart(t, p))
	for _, name := range []string{"sender", "receiver", "papyrus", "admin"} {
		program.Eventually(t, "the output says where the "+name+" listens", func() bool {
			return strings.Contains(p.Output(), p.URL(name))
		})
	}
	reader := signUp(t, p.URL("sender"))
	token := keepToken(t, mustPost(t, p.URL("sender")+"/send", reader.KeyRequest("laptop")))

	var took []time.Duration
	for range starts {
		if code := p.Stop(terminate); code != 0 {
			t.Errorf("exit code %d after SIGTERM", code)
		}
		took = append(took, timeStart(t, p))
	}
	t.Logf("starts with an existing database: ready after %v; the best counts: %v", took, slices.Min(took))
	if best := slices.Min(took); best > limit {
		t.Errorf("ready after %v, want %v", best, limit)
	}
	if a := verifyKey(t, p.URL("papyrus"), token); a.Status != 200 {
		t.Errorf("the key after restarts: %v", a)
	}
}

// timeStart starts the process, and returns how long after its exec /readyz was 200 for the first time.
func timeStart(t *testing.T, p *program.Process) time.Duration {
	t.Helper()
	began := time.Now()
	p.Launch()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.Ready() != nil {
		if time.Since(began) > program.Patience {
			t.Fatalf("not ready after %v:\n%s", program.Patience, p.Output())
		}
		<-tick.C
	}
	return time.Since(began).Round(100 * time.Microsecond)
}

func TestServeAllGivesMemoryBack(t *testing.T) {
	const limit, signIns, idle = 40 << 10, 200, 30 * time.Second
	p := start(t, "all", program.Settings{"LOG_LEVEL": "info"})
	fresh := p.Memory("VmRSS")
	reader := signUp(t, p.URL("sender"))

	var tries atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range signIns {
		all.Go(func() {
			a, n, err := client.PostUntilOK(t.Context(), p.URL("sender")+"/signin", reader.Credentials())
			tries.Add(int64(n))
			if err != nil {
				t.Error(err)
				return
			}
			record.Keep("jwt", a.Member("jwt"))
			record.Keep("refresh token", a.Member("refreshToken"))
		})
	}
	all.Wait()
	burst, took := p.Memory("VmRSS"), time.Since(began)

	<-time.After(idle) // what is measured
	rested := p.Memory("VmRSS")
	t.Logf("resident: %.1f MB fresh, %.1f MB after %d concurrent sign-ins (%d tries, %v), %.1f MB %v later",
		fresh/1024, burst/1024, signIns, tries.Load(), took.Round(time.Millisecond), rested/1024, idle)
	if rested > limit {
		t.Errorf("%.1f MB are resident %v after the last request, want %d", rested/1024, idle, limit>>10)
	}
}
