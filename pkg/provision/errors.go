package provision

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// Codes of sender and receiver (contract: provisioning, sections 2 and 3).
const (
	CodeEmailNotConfirmed     apierror.Code = "EMAIL_NOT_CONFIRMED"
	CodeEmailTaken            apierror.Code = "EMAIL_TAKEN"
	CodeIdempotencyKeyReused  apierror.Code = "IDEMPOTENCY_KEY_REUSED"
	CodeIdentityRefused       apierror.Code = "IDENTITY_REFUSED"
	CodeIdentityTimeout       apierror.Code = "IDENTITY_TIMEOUT"
	CodeIdentityUnavailable   apierror.Code = "IDENTITY_UNAVAILABLE"
	CodeInvalidAuth           apierror.Code = "INVALID_AUTH"
	CodeInvalidCredentials    apierror.Code = "INVALID_CREDENTIALS"
	CodeInvalidEmail          apierror.Code = "INVALID_EMAIL"
	CodeInvalidName           apierror.Code = "INVALID_NAME"
	CodeInvalidSignature      apierror.Code = "INVALID_SIGNATURE"
	CodeMissingAuthHeaders    apierror.Code = "MISSING_AUTH_HEADERS"
	CodeProvisionError        apierror.Code = "PROVISION_ERROR"
	CodeProvisionTimeout      apierror.Code = "PROVISION_TIMEOUT"
	CodeQuotaExceeded         apierror.Code = "QUOTA_EXCEEDED"
	CodeReceiverMisconfigured apierror.Code = "RECEIVER_MISCONFIGURED"
	CodeReceiverTimeout       apierror.Code = "RECEIVER_TIMEOUT"
	CodeReceiverUnreachable   apierror.Code = "RECEIVER_UNREACHABLE"
	CodeReplayDetected        apierror.Code = "REPLAY_DETECTED"
	CodeSignupDisabled        apierror.Code = "SIGNUP_DISABLED"
	CodeStaleTimestamp        apierror.Code = "STALE_TIMESTAMP"
	CodeTierNotAllowed        apierror.Code = "TIER_NOT_ALLOWED"
	CodeUnknownAction         apierror.Code = "UNKNOWN_ACTION"
	CodeUnknownTier           apierror.Code = "UNKNOWN_TIER"
	CodeWeakPassword          apierror.Code = "WEAK_PASSWORD"
)

// Errors of a request, of its signature, and of those whom sender and receiver ask. All are read-only; With gives a copy
// with its cause.
var (
	ErrNotObject            = apierror.New(http.StatusBadRequest, apierror.JSONParseError, "invalid json")
	ErrUnknownAction        = apierror.New(http.StatusBadRequest, CodeUnknownAction, "unknown action")
	ErrInvalidEmail         = apierror.New(http.StatusBadRequest, CodeInvalidEmail, "email must be a valid address")
	ErrWeakPassword         = apierror.New(http.StatusBadRequest, CodeWeakPassword, "the password is too weak")
	ErrIdentityRefused      = apierror.New(http.StatusBadRequest, CodeIdentityRefused, "the identity provider refused the request")
	ErrInvalidName          = apierror.New(http.StatusBadRequest, CodeInvalidName, "name must be 1 to 100 characters without control characters")
	ErrUnknownTier          = apierror.New(http.StatusBadRequest, CodeUnknownTier, "unknown tier")
	ErrInvalidAuth          = apierror.New(http.StatusUnauthorized, CodeInvalidAuth, "missing or invalid jwt")
	ErrInvalidCredentials   = apierror.New(http.StatusUnauthorized, CodeInvalidCredentials, "invalid email or password")
	ErrMissingAuthHeaders   = apierror.New(http.StatusUnauthorized, CodeMissingAuthHeaders, "missing auth headers")
	ErrStaleTimestamp       = apierror.New(http.StatusUnauthorized, CodeStaleTimestamp, "stale or invalid timestamp")
	ErrInvalidSignature     = apierror.New(http.StatusUnauthorized, CodeInvalidSignature, "invalid signature")
	ErrReplayDetected       = apierror.New(http.StatusConflict, CodeReplayDetected, "replay detected")
	ErrEmailNotConfirmed    = apierror.New(http.StatusForbidden, CodeEmailNotConfirmed, "the email address is not confirmed yet")
	ErrSignupDisabled       = apierror.New(http.StatusForbidden, CodeSignupDisabled, "sign-up is disabled")
	ErrOtherUser            = apierror.New(http.StatusForbidden, apierror.Forbidden, "userId is not the user of the jwt")
	ErrEmailTaken           = apierror.New(http.StatusConflict, CodeEmailTaken, "an account with this email exists")
	ErrTierNotAllowed       = apierror.New(http.StatusForbidden, CodeTierNotAllowed, "the account's plan does not include this tier")
	ErrQuotaExceeded        = apierror.New(http.StatusForbidden, CodeQuotaExceeded, "the account has as many keys as its plan allows")
	ErrIdempotencyKeyReused = apierror.New(http.StatusUnprocessableEntity, CodeIdempotencyKeyReused, "the idempotency key was used for another request")
	ErrRateLimited          = &apierror.Error{Status: http.StatusTooManyRequests, Code: apierror.RateLimited, Message: "too many requests", RetryAfter: 10 * time.Second}

	ErrIdentityUnavailable   = apierror.New(http.StatusBadGateway, CodeIdentityUnavailable, "the identity provider is unavailable")
	ErrIdentityTimeout       = apierror.New(http.StatusGatewayTimeout, CodeIdentityTimeout, "the identity provider did not answer in time")
	ErrProvisionFailed       = apierror.New(http.StatusBadGateway, CodeProvisionError, "the key could not be created")
	ErrProvisionTimeout      = apierror.New(http.StatusGatewayTimeout, CodeProvisionTimeout, "the key was not created in time")
	ErrReceiverUnreachable   = apierror.New(http.StatusBadGateway, CodeReceiverUnreachable, "the receiver is unreachable")
	ErrReceiverMisconfigured = apierror.New(http.StatusBadGateway, CodeReceiverMisconfigured, "sender and receiver do not agree; the operator has to look at their configuration")
	ErrReceiverTimeout       = apierror.New(http.StatusGatewayTimeout, CodeReceiverTimeout, "the receiver did not answer in time")
)

// Refused is the receiver's answer when the key issuer refused with a 4xx that has no code of the contract.
func Refused(status int) *apierror.Error {
	return apierror.New(status, CodeProvisionError, "the key issuer refused the request")
}

func missingFields(names ...string) error {
	return apierror.New(http.StatusBadRequest, apierror.MissingFields, "missing or not a string: "+strings.Join(names, ", "))
}

func invalidField(name, rule string) error {
	return apierror.New(http.StatusBadRequest, apierror.InvalidField, fmt.Sprintf("%s %s", name, rule))
}
