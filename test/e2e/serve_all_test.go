package e2e_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestServeAllStarts(t *testing.T) {
	const limit, starts = 150 * time.Millisecond, 5
	p := newProcess(t, "all", settings{"LOG_LEVEL": "info"})
	t.Logf("first start, on an empty directory: ready after %v", p.timeStart())
	for _, name := range []string{"sender", "receiver", "papyrus", "admin"} {
		eventually(t, "the output says where the "+name+" listens", func() bool {
			return strings.Contains(p.running.Output(), p.url(name))
		})
	}
	reader := signUp(t, p.url("sender"))
	token := keepToken(t, mustPost(t, p.url("sender")+"/send", reader.keyRequest("laptop")))

	var took []time.Duration
	for range starts {
		if code := p.stop(terminate); code != 0 {
			t.Errorf("exit code %d after SIGTERM", code)
		}
		took = append(took, p.timeStart())
	}
	t.Logf("starts with an existing database: ready after %v; the best counts: %v", took, slices.Min(took))
	if best := slices.Min(took); best > limit {
		t.Errorf("ready after %v, want %v", best, limit)
	}
	if a := verifyKey(t, p.url("papyrus"), token); a.status != 200 {
		t.Errorf("the key after restarts: %v", a)
	}
}

// timeStart starts the process, and returns how long after its exec /readyz was 200 for the first time.
func (p *process) timeStart() time.Duration {
	p.t.Helper()
	began := time.Now()
	p.launch()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.ready() != nil {
		if time.Since(began) > patience {
			p.t.Fatalf("not ready after %v:\n%s", patience, p.running.Output())
		}
		<-tick.C
	}
	took := time.Since(began)
	p.keepGenerated()
	return took.Round(100 * time.Microsecond)
}

func TestServeAllGivesMemoryBack(t *testing.T) {
	const limit, signIns, idle = 40 << 10, 200, 30 * time.Second
	p := start(t, "all", settings{"LOG_LEVEL": "info"})
	fresh := p.residentKB()
	reader := signUp(t, p.url("sender"))

	var tries atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range signIns {
		all.Go(func() {
			a, n, err := postUntilOK(t.Context(), p.url("sender")+"/signin", reader.credentials())
			tries.Add(int64(n))
			if err != nil {
				t.Error(err)
				return
			}
			run.keep("jwt", a.member("jwt"))
			run.keep("refresh token", a.member("refreshToken"))
		})
	}
	all.Wait()
	burst, took := p.residentKB(), time.Since(began)

	<-time.After(idle) // what is measured
	rested := p.residentKB()
	t.Logf("resident: %.1f MB fresh, %.1f MB after %d concurrent sign-ins (%d tries, %v), %.1f MB %v later",
		fresh/1024, burst/1024, signIns, tries.Load(), took.Round(time.Millisecond), rested/1024, idle)
	if rested > limit {
		t.Errorf("%.1f MB are resident %v after the last request, want %d", rested/1024, idle, limit>>10)
	}
}

// residentKB returns how much memory of the process is resident, in KiB, as Linux counts it.
func (p *process) residentKB() float64 {
	p.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}
