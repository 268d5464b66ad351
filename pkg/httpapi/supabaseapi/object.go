package supabaseapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
)

// user is Supabase's user object, in the members that its client library and ours read.
type user struct {
	ID               string            `json:"id"`
	Audience         string            `json:"aud"`
	Role             string            `json:"role"`
	Email            string            `json:"email"`
	EmailConfirmedAt *time.Time        `json:"email_confirmed_at,omitempty"`
	Phone            string            `json:"phone"`
	LastSignInAt     *time.Time        `json:"last_sign_in_at,omitempty"`
	AppMetadata      appMetadata       `json:"app_metadata"`
	UserMetadata     map[string]string `json:"user_metadata"`
	Identities       []struct{}        `json:"identities"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
	IsAnonymous      bool              `json:"is_anonymous"`
}

type appMetadata struct {
	Provider  string   `json:"provider"`
	Providers []string `json:"providers"`
}

func newUser(u account.User) user {
	out := user{
		ID: u.ID, Audience: "authenticated", Role: "authenticated", Email: u.Email,
		AppMetadata:  appMetadata{Provider: "email", Providers: []string{"email"}},
		UserMetadata: map[string]string{"display_name": u.DisplayName},
		Identities:   []struct{}{}, CreatedAt: u.CreatedAt, UpdatedAt: u.CreatedAt,
	}
	if u.EmailVerified {
		out.EmailConfirmedAt = &u.CreatedAt
	}
	if !u.LastLoginAt.IsZero() {
		out.LastSignInAt, out.UpdatedAt = &u.LastLoginAt, u.LastLoginAt
	}
	return out
}

// signedIn is Supabase's session object.
type signedIn struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	ExpiresAt    int64  `json:"expires_at"`
	RefreshToken string `json:"refresh_token"`
	User         user   `json:"user"`
}

func writeSession(c echo.Context, g account.Grant) error {
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusOK, signedIn{
		AccessToken: g.AccessToken.Reveal(), TokenType: "bearer", ExpiresIn: g.ExpiresIn, ExpiresAt: g.ExpiresAt.Unix(),
		RefreshToken: g.RefreshToken.Reveal(), User: newUser(g.User),
	})
}

type health struct {
	Version     string `json:"version"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// health serves GET /auth/v1/health.
func (a api) health(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, health{a.Version, "provisioner", "provisioner answers the Supabase Auth API over its own accounts"})
}

type settings struct {
	External          map[string]bool `json:"external"`
	DisableSignup     bool            `json:"disable_signup"`
	MailerAutoconfirm bool            `json:"mailer_autoconfirm"`
}

// settings serves GET /auth/v1/settings.
func (a api) settings(c echo.Context) error {
	return httpapi.WriteJSON(c, http.StatusOK, settings{External: map[string]bool{"email": true}, MailerAutoconfirm: true})
}

// jwks serves GET /auth/v1/.well-known/jwks.json: the keys that access tokens verify under.
func (a api) jwks(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=600")
	return httpapi.WriteJSON(c, http.StatusOK, a.Tokens.JWKS())
}
