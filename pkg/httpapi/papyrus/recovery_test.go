package papyrus_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/mail"
)

const deadToken = `{"error":{"code":"VALIDATION_ERROR","message":"The token is unknown, used or expired","details":{}}}`

var linkToken = regexp.MustCompile(`token=([A-Za-z0-9_-]+)`)

// mustToken returns the token of a mail to the reader that is composed now.
func (r rig) mustToken(t *testing.T, kind mail.Kind) string {
	t.Helper()
	m, err := account.NewComposer(r.db, "https://app.example.com", r.clock.now).Compose(t.Context(), mail.Job{Kind: kind, Email: email})
	must(t, err)
	found := linkToken.FindStringSubmatch(m.Text)
	if found == nil {
		t.Fatalf("no token in %q", m.Text)
	}
	return found[1]
}

func TestVerifyEmail(t *testing.T) {
	r := newRig(t)
	g := r.mustRegister(t, email)
	if r.outbox.woke != 1 {
		t.Errorf("the outbox was woken %d times", r.outbox.woke)
	}
	jobs, err := r.db.LeaseMail(t.Context(), noon, noon.Add(time.Minute), 10)
	if err != nil || len(jobs) != 1 || jobs[0].Kind != mail.KindVerifyEmail || jobs[0].Email != email {
		t.Errorf("waiting mail %+v, %v", jobs, err)
	}

	token, late := r.mustToken(t, mail.KindVerifyEmail), r.mustToken(t, mail.KindVerifyEmail)
	reset := r.mustToken(t, mail.KindResetPassword)
	verify := func(body string, status int, want string) {
		t.Helper()
		check(t, r.post("/auth/verify-email", body, ""), status, want)
	}
	verify(`{}`, 422, invalid("token", required))
	verify(`{"token":null}`, 422, invalid("token", notString))
	verify(`{"token":"\u0000"}`, 400, deadToken)
	verify(`{"token":"`+reset+`"}`, 400, deadToken)
	verify(`{"token":"`+token+`"}`, 200, `{"message":"The email address is verified"}`)
	verify(`{"token":"`+token+`"}`, 400, deadToken)
	r.clock.Time = noon.Add(24 * time.Hour)
	verify(`{"token":"`+late+`"}`, 400, deadToken)

	stored, err := r.db.UserByID(t.Context(), g.User.ID)
	if err != nil || !stored.EmailVerified {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

func TestMailIsAskedFor(t *testing.T) {
	r := newRig(t)
	r.mustRegister(t, email)
	r.mustDisable(t, r.mustRegister(t, "disabled@example.com").User.ID)
	for _, tt := range []struct {
		endpoint, message string
		kind              mail.Kind
	}{
		{"/auth/resend-verification", `{"message":"If the address needs to be verified, a mail is on its way"}`, mail.KindVerifyEmail},
		{"/auth/forgot-password", `{"message":"If there is an account for the address, a mail is on its way"}`, mail.KindResetPassword},
	} {
		t.Run(tt.endpoint, func(t *testing.T) {
			r.outbox.jobs = nil
			var want []mail.Job
			for _, address := range []string{email, "stranger@example.com", "disabled@example.com", "keeper@example.com"} {
				check(t, r.post(tt.endpoint, `{"email":" `+address+`"}`, ""), 200, tt.message)
				want = append(want, mail.Job{Kind: tt.kind, Email: address})
			}
			if diff := cmp.Diff(want, r.outbox.jobs); diff != "" {
				t.Errorf("mail (-want +got):\n%s", diff)
			}
			check(t, r.post(tt.endpoint, `{"email":"reader"}`, ""), 422, invalid("email", notEmail))
			check(t, r.post(tt.endpoint, `{}`, ""), 422, invalid("email", required))

			off := r.withAccounts(func(c *account.Config) { c.Outbox = nil })
			noMail := refused("SERVICE_UNAVAILABLE", "This server sends no mail")
			check(t, off.post(tt.endpoint, `{"email":"reader@example.com"}`, ""), 503, noMail)
			check(t, off.post(tt.endpoint, `{"email":"stranger@example.com"}`, ""), 503, noMail)
		})
	}
}

func TestResetPassword(t *testing.T) {
	const endpoint = "/auth/reset-password"
	r := newRig(t)
	g := r.mustRegister(t, email)
	token, other := r.mustToken(t, mail.KindResetPassword), r.mustToken(t, mail.KindResetPassword)
	verification := r.mustToken(t, mail.KindVerifyEmail)
	reset := func(token, password any) string {
		return object(map[string]any{"token": token, "password": password})
	}
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"nothing", `{}`, 422, invalid("token", required, "password", required)},
		{"nulls", reset(nil, nil), 422, invalid("token", notString, "password", notString)},
		{"an unknown token", reset("unknown", "another good one"), 400, deadToken},
		{"an unknown token and a weak password", reset("unknown", "short"), 400, deadToken},
		{"a token of another kind", reset(verification, "another good one"), 400, deadToken},
		{"a weak password", reset(token, "short"), 422, invalid("password", "the password must have at least 8 characters")},
		{"the email", reset(token, email), 422, invalid("password", "the password must not be the email address")},
		{"a good one", reset(token, "another good one"), 200, `{"message":"The password is changed; sign in with it"}`},
		{"the token again", reset(token, "yet another good one"), 400, deadToken},
		{"another token of before", reset(other, "yet another good one"), 400, deadToken},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, r.post(endpoint, tt.body, ""), tt.status, tt.want) })
	}
	check(t, r.call("GET", "/users/me", ``, g.Access), 401, sessionEnded)
	check(t, r.refresh(g.Refresh), 401, refused("UNAUTHORIZED", "Invalid refresh token"))
	check(t, r.post("/auth/login", credentials(email, right), ""), 401, badCredentials)
	mustGrant(t, r.post("/auth/login", credentials(email, "another good one"), ""))

	late := r.mustToken(t, mail.KindResetPassword)
	r.clock.Time = noon.Add(time.Hour)
	check(t, r.post(endpoint, reset(late, "yet another good one"), ""), 400, deadToken)
}
