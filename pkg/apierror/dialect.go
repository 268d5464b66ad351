package apierror

import (
	"net/http"
	"strings"
)

// Dialect is the JSON shape in which a family of endpoints tells its errors.
type Dialect int

const (
	// Flat is {"error":"text","code":"CODE"}: sender, receiver and /functions/v1. Shipped clients cast error to a string.
	Flat Dialect = iota
	// Nested is {"error":{"code":"CODE","message":"text","details":{}}}: everything under /v1.
	Nested
	// Supabase is {"code":400,"error_code":"code","msg":"text"}: everything under /auth/v1.
	Supabase
	// PowerSync is {"error":{"code":"PSYNC_S2101","status":401,"description":"text","name":"AuthorizationError"}}: the endpoints of the
	// sync protocol.
	PowerSync
)

type flatBody struct {
	Error string `json:"error"`
	Code  Code   `json:"code"`
}

type nestedBody struct {
	Error nestedError `json:"error"`
}

type nestedError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Details any    `json:"details"`
}

type supabaseBody struct {
	Code      int    `json:"code"`
	ErrorCode string `json:"error_code"`
	Msg       string `json:"msg"`
}

type powerSyncBody struct {
	Error powerSyncError `json:"error"`
}

type powerSyncError struct {
	Code        Code   `json:"code"`
	Status      int    `json:"status"`
	Description string `json:"description"`
	Name        string `json:"name"`
}

// Body returns the value that, marshalled to JSON, tells e in d.
func (d Dialect) Body(e *Error) any {
	switch d {
	case Nested:
		details := e.Details
		if details == nil {
			details = struct{}{}
		}
		return nestedBody{nestedError{Code: nestedCode(e.Code), Message: e.Message, Details: details}}
	case Supabase:
		return supabaseBody{Code: e.Status, ErrorCode: supabaseCode(e.Code), Msg: e.Message}
	case PowerSync:
		return powerSyncBody{powerSyncError{
			Code: powerSyncCode(e.Code), Status: e.Status, Description: e.Message, Name: powerSyncName(e.Status),
		}}
	case Flat:
	}
	return flatBody{Error: e.Message, Code: e.Code}
}

// nestedCode gives the name that /v1 has for a code of the other services (contract: papyrus, section 1).
func nestedCode(c Code) Code {
	switch c {
	case StoreUnavailable:
		return ServiceUnavailable
	case BodyTooLarge:
		return "PAYLOAD_TOO_LARGE"
	case JSONParseError, MissingFields, InvalidField, UnsupportedMediaType:
		return "VALIDATION_ERROR"
	default:
		return c
	}
}

// supabaseCode gives the name that /auth/v1 has for a code of ours (contract: provisioning, section 7).
func supabaseCode(c Code) string {
	switch c {
	case InternalError:
		return "unexpected_failure"
	case JSONParseError:
		return "bad_json"
	case RateLimited:
		return "over_request_rate_limit"
	case StoreUnavailable:
		return "service_unavailable"
	default:
		return strings.ToLower(string(c))
	}
}

// powerSyncCode gives the name that PowerSync has for a code of ours: what it tells apart by none of its own is S2001 where we are to
// blame, and otherwise keeps its name.
func powerSyncCode(c Code) Code {
	switch c {
	case InternalError:
		return "PSYNC_S2001"
	case NotFound:
		return "PSYNC_S2002"
	case StoreUnavailable, ServiceUnavailable:
		return "PSYNC_S2003"
	case UnsupportedMediaType:
		return "PSYNC_S2004"
	default:
		return c
	}
}

func powerSyncName(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "AuthorizationError"
	case http.StatusInternalServerError:
		return "InternalServerError"
	}
	return "ServiceError"
}
