package e2e_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/provisioner/provisioner/test/program"
	"github.com/provisioner/provisioner/test/record"
	"github.com/provisioner/provisioner/test/wire"
)

// TestRefusedSignInsAreAlike refuses sign-ins for the four reasons that there are: to who asks they are one, by the answer and by the
// time that it takes. Accounts that are still on bcrypt, from an adopted database, are not among them: bcrypt costs what it costs.
func TestRefusedSignInsAreAlike(t *testing.T) {
	const samples, tries, alpha = 150, 3, 0.001
	p := start(t, "papyrus", program.Settings{"LOG_LEVEL": "info"})
	papyrus := p.URL("papyrus")
	wrong := func(r *reader) *reader {
		guess := *r
		guess.password = record.NewSecret("wrong password")
		return &guess
	}
	disabled, google := register(t, papyrus), register(t, papyrus)
	p.Run("user", "disable", disabled.userID)
	changeRows(t, p, "DELETE FROM password_credentials WHERE user_id = ?", google.userID) // as if Google had made it
	reasons := []*refusalReason{
		{name: "a wrong password", guess: wrong(register(t, papyrus))},
		{name: "an unknown user", guess: wrong(&reader{email: "nobody-at-all-has-this-one@example.com"})},
		{name: "a wrong password of a disabled account", guess: wrong(disabled)},
		{name: "a password for an account without one", guess: wrong(google)},
	}

	for try := 1; ; try++ {
		measureRefusals(t, papyrus, reasons, samples)
		told := toldApart(t, reasons, alpha)
		if !told {
			break
		}
		if try == tries {
			t.Errorf("in %d series of samples, refusals can be told apart by their time", tries)
			break
		}
	}

	slower := make([]time.Duration, samples)
	for i, took := range reasons[0].took {
		slower[i] = took + took/2
	}
	if p := rankSum(reasons[0].took, slower); p > alpha {
		t.Errorf("answers that are slower by a half are not told apart either, p = %.3g: the samples show nothing", p)
	}
}

// refusalReason is why a sign-in is refused.
type refusalReason struct {
	name   string
	guess  *reader
	answer string // the last, without what every answer has of its own
	took   []time.Duration
}

// measureRefusals makes so many guesses for each reason, the reasons in turns of changing order.
func measureRefusals(t *testing.T, papyrus string, reasons []*refusalReason, samples int) {
	t.Helper()
	for _, r := range reasons {
		r.took = nil
	}
	order := slices.Clone(reasons)
	for range samples {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, r := range order {
			began := time.Now()
			a := mustPost(t, papyrus+"/v1/auth/login", r.guess.credentials())
			r.took = append(r.took, time.Since(began))
			r.check(t, a, reasons[0])
		}
	}
}

// check compares an answer with that for another reason, byte for byte but for what every answer has of its own.
func (r *refusalReason) check(t *testing.T, a wire.Answer, other *refusalReason) {
	t.Helper()
	a.Header.Del("Date")
	a.Header.Del("X-Request-Id")
	var whole strings.Builder
	_ = a.Header.Write(&whole) // a strings.Builder takes all
	r.answer = fmt.Sprint(a.Status, " ", whole.String(), a.Body)
	if other.answer != "" && r.answer != other.answer {
		t.Fatalf("%s:\n%s\n%s:\n%s", r.name, r.answer, other.name, other.answer)
	}
}

// toldApart reports whether a statistical test tells one of the reasons from the first, and what it says.
func toldApart(t *testing.T, reasons []*refusalReason, alpha float64) bool {
	t.Helper()
	told := false
	for _, r := range reasons {
		p, q := rankSum(reasons[0].took, r.took), kolmogorovSmirnov(reasons[0].took, r.took)
		t.Logf("%-40s median %v; Mann-Whitney p = %.3f, Kolmogorov-Smirnov p = %.3f", r.name, median(r.took), p, q)
		told = told || min(p, q) < alpha
	}
	return told
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2].Round(10 * time.Microsecond)
}

// rankSum returns the probability that two samples of one distribution differ so much in their ranks (Mann and Whitney's test, in the
// normal approximation, which is good from 20 each; times do not tie).
func rankSum(a, b []time.Duration) float64 {
	n, m := float64(len(a)), float64(len(b))
	var u float64
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	z := (u - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
	return math.Erfc(math.Abs(z) / math.Sqrt2)
}

// kolmogorovSmirnov returns the probability that two samples of one distribution have distribution functions so far apart (in
// Stephens' approximation).
func kolmogorovSmirnov(a, b []time.Duration) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	var i, j int
	var distance float64
	for i < len(a) && j < len(b) {
		x := min(a[i], b[j])
		for i < len(a) && a[i] <= x {
			i++
		}
		for j < len(b) && b[j] <= x {
			j++
		}
		distance = max(distance, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	n := math.Sqrt(float64(len(a)*len(b)) / float64(len(a)+len(b)))
	lambda := (n + 0.12 + 0.11/n) * distance
	if lambda < 0.2 {
		return 1 // where the series converges slowly
	}
	var p float64
	for k := 1.0; k <= 100; k++ {
		p += 2 * math.Pow(-1, k-1) * math.Exp(-2*k*k*lambda*lambda)
	}
	return min(1, max(0, p))
}
