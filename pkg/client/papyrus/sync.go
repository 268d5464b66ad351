package papyrus

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// longestLifetime of a token is taken from the server, in seconds.
const longestLifetime = 24 * 60 * 60

// PowerSyncToken lets a device sync.
type PowerSyncToken struct {
	Token     string
	ExpiresAt time.Time // by the clock of this device
}

// Mutation is one change of a row, as PowerSync's queue has it.
type Mutation struct {
	OpID int64           `json:"op_id"`
	Op   string          `json:"op"` // PUT, PATCH or DELETE
	Type string          `json:"type"`
	ID   string          `json:"id"`
	TxID int64           `json:"tx_id"`
	Data json.RawMessage `json:"data,omitempty"` // an object by column; nil for DELETE
}

// UploadResult is what the server did with a transaction.
type UploadResult struct {
	AppliedCount int        `json:"applied_count"`
	Rejected     []Rejected `json:"rejected"` // not empty: nothing was applied, and nothing ever will be
	Warnings     []Warning  `json:"warnings"` // the rows were kept without these fields
}

// Rejected says why a transaction can never succeed.
type Rejected struct {
	OpID    int64  `json:"op_id"`
	ID      string `json:"id"`
	Code    string `json:"code"` // FORBIDDEN, UNKNOWN_TABLE, UNKNOWN_OP, INVALID_ID or PAYLOAD_TOO_LARGE
	Message string `json:"message"`
}

// Warning names a field that was dropped.
type Warning struct {
	OpID    int64  `json:"op_id"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Session makes the calls of one user's sync, and fails with [ErrOtherUser] once somebody else is signed in on this device: what one user
// wrote must not go to another's account.
type Session struct {
	repository *AuthRepository
	userID     string
}

// As returns the session of a user.
func (r *AuthRepository) As(userID string) Session { return Session{r, userID} }

// CreatePowerSyncToken asks for a token for whoever is signed in.
func (r *AuthRepository) CreatePowerSyncToken(ctx context.Context) (PowerSyncToken, error) {
	return r.As("").CreatePowerSyncToken(ctx)
}

// UploadPowerSyncBatch uploads one transaction in the name of whoever is signed in.
func (r *AuthRepository) UploadPowerSyncBatch(ctx context.Context, batch []Mutation) (UploadResult, error) {
	return r.As("").UploadPowerSyncBatch(ctx, batch)
}

// CreatePowerSyncToken asks for a token. On 401 the access token is refreshed once and the call made once more; other failures are
// returned.
func (s Session) CreatePowerSyncToken(ctx context.Context) (PowerSyncToken, error) {
	var got struct {
		Token     string `json:"token"`
		ExpiresIn int    `json:"expires_in"` // seconds
	}
	asked := time.Now()
	err := s.repository.authorizedAs(ctx, s.userID, call{method: http.MethodPost, path: "/v1/auth/powersync-token", out: &got})
	if err == nil && got.Token == "" {
		err = lacking("token")
	}
	if err != nil {
		return PowerSyncToken{}, err
	}
	lifetime := time.Duration(min(max(got.ExpiresIn, 0), longestLifetime)) * time.Second
	return PowerSyncToken{got.Token, asked.Add(lifetime)}, nil
}

// UploadPowerSyncBatch uploads one transaction. On 401 the access token is refreshed once and the call made once more; other failures
// are returned, and the transaction may be uploaded again: the server applies it once.
func (s Session) UploadPowerSyncBatch(ctx context.Context, batch []Mutation) (UploadResult, error) {
	in := struct {
		Batch []Mutation `json:"batch"`
	}{batch}
	if in.Batch == nil {
		in.Batch = []Mutation{} // null is no batch
	}
	var got struct {
		UploadResult
		AppliedCount *int `json:"applied_count"` // an answer without it is not papyrus's, and nothing may be taken as uploaded
	}
	err := s.repository.authorizedAs(ctx, s.userID, call{
		method: http.MethodPost, path: "/v1/sync/powersync-upload", in: in, out: &got, timeout: uploadTimeout,
	})
	if err == nil && got.AppliedCount == nil {
		err = lacking("applied_count")
	}
	if err != nil {
		return UploadResult{}, err
	}
	got.UploadResult.AppliedCount = *got.AppliedCount
	return got.UploadResult, nil
}

// PowerSyncURL returns the base URL of the sync service: the configured one, else the one that the server names.
func (r *AuthRepository) PowerSyncURL(ctx context.Context) (string, error) {
	if r.config.PowerSyncURL != "" {
		return r.config.PowerSyncURL, nil
	}
	var got struct {
		URL string `json:"data_sync_url"`
	}
	if err := r.server.do(ctx, call{method: http.MethodGet, path: "/v1/sync/settings", out: &got}); err != nil {
		return "", err
	}
	return baseURL("the sync service's URL, as the server has it,", got.URL)
}
