package papyrus

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/account"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/session"
)

// userObject is a User (contract: papyrus, section 2).
type userObject struct {
	UserID        string     `json:"user_id"`
	Email         string     `json:"email"`
	DisplayName   string     `json:"display_name"`
	AvatarURL     *string    `json:"avatar_url"`
	EmailVerified bool       `json:"email_verified"`
	CreatedAt     time.Time  `json:"created_at"`
	LastLoginAt   *time.Time `json:"last_login_at"`
}

func newUser(u account.User) userObject {
	out := userObject{
		UserID: u.ID, Email: u.Email, DisplayName: u.DisplayName, EmailVerified: u.EmailVerified, CreatedAt: u.CreatedAt,
		LastLoginAt: timeOrNull(u.LastLoginAt),
	}
	if u.AvatarURL != "" {
		out.AvatarURL = &u.AvatarURL
	}
	return out
}

// timeOrNull returns nil, which is null in JSON, for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// authTokens are AuthTokens (contract: papyrus, section 2).
type authTokens struct {
	AccessToken  string     `json:"access_token"`
	RefreshToken string     `json:"refresh_token"`
	TokenType    string     `json:"token_type"`
	ExpiresIn    int        `json:"expires_in"` // seconds
	User         userObject `json:"user"`
}

func writeTokens(c echo.Context, status int, g account.Grant) error {
	httpapi.NoStore(c)
	return httpapi.WriteJSON(c, status, authTokens{
		AccessToken: g.AccessToken.Reveal(), RefreshToken: g.RefreshToken.Reveal(), TokenType: "Bearer", ExpiresIn: g.ExpiresIn,
		User: newUser(g.User),
	})
}

func writeUser(c echo.Context, u account.User, err error) error {
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(c, http.StatusOK, newUser(u))
}

type message struct {
	Message string `json:"message"`
}

func writeMessage(c echo.Context, text string) error {
	return httpapi.WriteJSON(c, http.StatusOK, message{text})
}

type sessionObject struct {
	SessionID   string    `json:"session_id"`
	ClientType  string    `json:"client_type"`
	DeviceLabel string    `json:"device_label"`
	CreatedAt   time.Time `json:"created_at"`
	LastSeenAt  time.Time `json:"last_seen_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	Current     bool      `json:"current"` // it is the one of the access token
}

// newSessions returns the sessions of the principal.
func newSessions(live []session.Session, who account.Principal) []sessionObject {
	out := make([]sessionObject, len(live))
	for i, s := range live {
		out[i] = sessionObject{
			SessionID: s.ID, ClientType: s.ClientType, DeviceLabel: s.DeviceLabel, CreatedAt: s.CreatedAt,
			LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt, Current: s.ID == who.SessionID,
		}
	}
	return out
}

type sessionList struct {
	Sessions []sessionObject `json:"sessions"`
}

type authorization struct {
	URL string `json:"authorization_url"`
}

type powerSyncToken struct {
	Token     string `json:"token"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

type health struct {
	Status string `json:"status"`
}

type syncSettings struct {
	DataSyncURL string      `json:"data_sync_url"`
	FileStorage fileStorage `json:"file_storage"`
}

type fileStorage struct {
	Supported bool `json:"supported"` // this server keeps no files
}
