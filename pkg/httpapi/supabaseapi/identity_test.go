package supabaseapi_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/oidc"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/session"
)

const avatar = "https://pictures.example.com/zoe.png"

var zoe = oidc.Identity{Subject: "google-7", Email: "Zoe@gmail.example.com", EmailVerified: true, Name: "Zoë", Picture: avatar}

// googleIdentity is the identity object of zoe, seen last at a time.
func googleIdentity(userID, id any, seen string) map[string]any {
	return map[string]any{
		"identity_id": id, "id": "google-7", "user_id": userID, "provider": "google", "email": "Zoe@gmail.example.com",
		"created_at": at, "updated_at": seen, "last_sign_in_at": seen,
		"identity_data": map[string]any{
			"email": "Zoe@gmail.example.com", "email_verified": true, "phone_verified": false, "sub": "google-7",
		},
	}
}

// identityID returns the id of the identity object at a place, which is made up.
func identityID(t *testing.T, user map[string]any, place int) any {
	t.Helper()
	identities, _ := user["identities"].([]any)
	if len(identities) <= place {
		t.Fatalf("identities %v", identities)
	}
	object, _ := identities[place].(map[string]any)
	return object["identity_id"]
}

func TestUserOfGoogle(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	code, err := r.accounts.AdmitIdentity(t.Context(), oidc.Outcome{Identity: zoe})
	must(t, err)
	signedIn, err := r.accounts.Exchange(t.Context(), code.Reveal(), "", session.Client{Type: "web"})
	must(t, err)

	got := object(t, r.do("GET", "/auth/v1/user", "", "Authorization", "Bearer "+signedIn.AccessToken.Reveal()))
	want := wantUser(signedIn.User.ID, "zoe@gmail.example.com", "Zoë")
	want["email_confirmed_at"] = at
	want["app_metadata"] = map[string]any{"provider": "google", "providers": []any{"google"}}
	want["user_metadata"] = map[string]any{"display_name": "Zoë", "avatar_url": avatar}
	want["identities"] = []any{googleIdentity(signedIn.User.ID, identityID(t, got, 0), at)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	check(t, r.signIn("zoe@gmail.example.com", right), 400, invalidCredentials) // there is no password
}

func TestUserWithAPasswordAndGoogle(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	who, err := r.accounts.Authenticate(t.Context(), g.Access)
	must(t, err)
	code, err := r.accounts.OfferIdentity(t.Context(), oidc.Outcome{UserID: who.UserID, Identity: zoe})
	must(t, err)
	_, err = r.accounts.LinkIdentity(t.Context(), who, code.Reveal(), "")
	must(t, err)

	r.clock.Time = noon.Add(time.Minute)
	refreshed := object(t, r.refresh(g.Refresh))
	got, _ := refreshed["user"].(map[string]any)
	want := wantUser(g.User.ID, email, "reader")
	want["app_metadata"] = map[string]any{"provider": "email", "providers": []any{"email", "google"}}
	own, _ := want["identities"].([]any)
	want["identities"] = append(own, googleIdentity(g.User.ID, identityID(t, got, 1), at))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func TestUserOfAVerifiedAddress(t *testing.T) {
	r := newRig(t, ratelimit.Limit{})
	g := r.mustSignUp(t, email)
	composed, err := account.NewComposer(r.db, "https://app.example.com", r.clock.now).Compose(t.Context(), verification(email))
	must(t, err)
	must(t, r.accounts.VerifyEmail(t.Context(), tokenIn(t, composed.Text)))
	user := object(t, r.do("GET", "/auth/v1/user", "", "Authorization", g.bearer()))
	if user["email_confirmed_at"] != at {
		t.Errorf("email_confirmed_at %v", user["email_confirmed_at"])
	}
}
