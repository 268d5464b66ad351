package supabaseapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/token"
)

// jwksMaxAge is how long verifiers may keep the keys of access tokens: package token counts on it when it rotates them.
const jwksMaxAge = 10 * time.Minute

// emailProvider is how Supabase calls the way in by e-mail and password.
const emailProvider = "email"

// user is Supabase's user object, in the members that its client library and ours read.
type user struct {
	ID               string            `json:"id"`
	Audience         string            `json:"aud"`
	Role             string            `json:"role"`
	Email            string            `json:"email"`
	EmailConfirmedAt *time.Time        `json:"email_confirmed_at,omitempty"` // of a confirmed address: when the account was made
	Phone            string            `json:"phone"`
	LastSignInAt     *time.Time        `json:"last_sign_in_at,omitempty"`
	AppMetadata      appMetadata       `json:"app_metadata"`
	UserMetadata     map[string]string `json:"user_metadata"`
	Identities       []identity        `json:"identities"`
	CreatedAt        time.Time         `json:"created_at"`
	UpdatedAt        time.Time         `json:"updated_at"`
	IsAnonymous      bool              `json:"is_anonymous"`
}

// appMetadata names the ways in that an account has.
type appMetadata struct {
	Provider  string   `json:"provider"` // the first of them
	Providers []string `json:"providers"`
}

// identity is one way in.
type identity struct {
	IdentityID   string       `json:"identity_id"`
	ID           string       `json:"id"` // of the user at the provider
	UserID       string       `json:"user_id"`
	Data         identityData `json:"identity_data"`
	Provider     string       `json:"provider"`
	LastSignInAt *time.Time   `json:"last_sign_in_at,omitempty"`
	CreatedAt    time.Time    `json:"created_at"`
	UpdatedAt    time.Time    `json:"updated_at"`
	Email        string       `json:"email"`
}

type identityData struct {
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	PhoneVerified bool   `json:"phone_verified"`
	Subject       string `json:"sub"`
}

// newUser returns an account as Supabase shows it.
func newUser(u account.User, ways []identity) user {
	out := user{
		ID: u.ID, Audience: "authenticated", Role: "authenticated", Email: u.Email,
		AppMetadata:  appMetadata{Provider: emailProvider, Providers: []string{}},
		UserMetadata: map[string]string{"display_name": u.DisplayName},
		Identities:   ways, CreatedAt: u.CreatedAt, UpdatedAt: u.CreatedAt,
	}
	if u.AvatarURL != "" {
		out.UserMetadata["avatar_url"] = u.AvatarURL
	}
	if u.EmailVerified {
		out.EmailConfirmedAt = &u.CreatedAt
	}
	if !u.LastLoginAt.IsZero() {
		out.LastSignInAt, out.UpdatedAt = &u.LastLoginAt, u.LastLoginAt
	}
	for i, way := range ways {
		if i == 0 {
			out.AppMetadata.Provider = way.Provider
		}
		out.AppMetadata.Providers = append(out.AppMetadata.Providers, way.Provider)
	}
	return out
}

// waysIn returns the identities of an account, that of its password first.
func (a api) waysIn(ctx context.Context, u account.User) ([]identity, error) {
	who := account.Principal{UserID: u.ID}
	password, err := a.Accounts.HasPassword(ctx, who)
	if err != nil {
		return nil, err
	}
	linked, err := a.Accounts.Identities(ctx, who)
	if err != nil {
		return nil, err
	}
	ways := make([]identity, 0, len(linked)+1)
	if password {
		ways = append(ways, emailIdentity(u))
	}
	for _, i := range linked {
		ways = append(ways, identity{
			IdentityID: i.ID, ID: i.Subject, UserID: u.ID, Provider: i.Provider, LastSignInAt: &i.LastUsedAt,
			Data:      identityData{Email: i.Email, EmailVerified: i.EmailVerified, Subject: i.Subject},
			CreatedAt: i.CreatedAt, UpdatedAt: i.LastUsedAt, Email: i.Email,
		})
	}
	return ways, nil
}

// emailIdentity returns the identity that a password makes. It is none of the store's: its id is the user's.
func emailIdentity(u account.User) identity {
	return identity{
		IdentityID: u.ID, ID: u.ID, UserID: u.ID, Provider: emailProvider,
		Data:      identityData{Email: u.Email, EmailVerified: u.EmailVerified, Subject: u.ID},
		CreatedAt: u.CreatedAt, UpdatedAt: u.CreatedAt, Email: u.Email,
	}
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

func (a api) writeSession(c echo.Context, g account.Grant) error {
	ways, err := a.waysIn(c.Request().Context(), g.User)
	if err != nil {
		return err
	}
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, http.StatusOK, signedIn{
		AccessToken: g.AccessToken.Reveal(), TokenType: "bearer", ExpiresIn: g.ExpiresIn, ExpiresAt: g.ExpiresAt.Unix(),
		RefreshToken: g.RefreshToken.Reveal(), User: newUser(g.User, ways),
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

// jwks serves GET /auth/v1/.well-known/jwks.json: the keys that access tokens verify under, or 304 to whoever has them.
func (a api) jwks(c echo.Context) error {
	set, err := token.JWKS(c.Request().Context(), a.AccessKeys, token.Access)
	if err != nil {
		return err
	}
	return httpapi.WriteCacheable(c, set, jwksMaxAge)
}
