package syncapi

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
	"github.com/provisioner/provisioner/pkg/httpapi"
	"github.com/provisioner/provisioner/pkg/strictjson"
	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	bodyLimit        = 1 << 20 // bytes: a device lists its buckets and subscriptions
	maxClientLen     = 255     // bytes; devices send UUIDs
	maxSubscriptions = 1000    // and buckets; there are few streams
	maxCheckpoint    = 1 << 53 // as far as JavaScript counts
)

var (
	errNotObject = apierror.New(http.StatusBadRequest, apierror.JSONParseError, "The body must be one JSON object of the protocol, in UTF-8, with no name twice")
	errClient    = apierror.New(http.StatusBadRequest, apierror.InvalidField, "client_id must be text of at most 255 bytes without NUL")
	errAfter     = apierror.New(http.StatusBadRequest, apierror.InvalidField, "after must be a decimal number")
	errTooMuch   = apierror.New(http.StatusBadRequest, apierror.InvalidField, "There are too many buckets or subscriptions")
	errRequestID = apierror.New(http.StatusBadRequest, apierror.InvalidField, "checkpoint_request_id must be a positive decimal number")
)

// streamRequest is the body of POST /sync/stream, as far as it means something here. Old devices leave most of it out.
type streamRequest struct {
	Buckets []struct {
		Name  string `json:"name"`
		After string `json:"after"`
	} `json:"buckets"`
	RawData    bool   `json:"raw_data"`
	BinaryData bool   `json:"binary_data"`
	ClientID   string `json:"client_id"`
	Streams    struct {
		IncludeDefaults *bool `json:"include_defaults"`
		Subscriptions   []struct {
			Stream           string `json:"stream"`
			OverridePriority *int   `json:"override_priority"`
		} `json:"subscriptions"`
	} `json:"streams"`
}

// decodeStream reads what a device asks for, but for what its headers say.
func decodeStream(c echo.Context) (syncstream.Request, error) {
	var in streamRequest
	if err := decode(c, &in); err != nil {
		return syncstream.Request{}, err
	}
	if err := checkClient(in.ClientID); err != nil {
		return syncstream.Request{}, err
	}
	if max(len(in.Buckets), len(in.Streams.Subscriptions)) > maxSubscriptions {
		return syncstream.Request{}, errTooMuch
	}
	out := syncstream.Request{
		ClientID: in.ClientID, Nested: !in.RawData && !in.BinaryData, After: make(map[string]int64, len(in.Buckets)),
		NoDefaults: in.Streams.IncludeDefaults != nil && !*in.Streams.IncludeDefaults,
	}
	for _, b := range in.Buckets {
		after, err := strconv.ParseInt(b.After, 10, 64)
		if err != nil || after < 0 {
			return syncstream.Request{}, errAfter.With(err)
		}
		out.After[b.Name] = after
	}
	for _, s := range in.Streams.Subscriptions {
		out.Subscriptions = append(out.Subscriptions, syncstream.Subscription{Stream: s.Stream, Priority: s.OverridePriority})
	}
	return out, nil
}

// decodeCheckpoint reads the body of POST /sync/checkpoint-request.
func decodeCheckpoint(c echo.Context) (client string, id int64, err error) {
	var in struct {
		ClientID string `json:"client_id"`
		ID       string `json:"checkpoint_request_id"`
	}
	if err := decode(c, &in); err != nil {
		return "", 0, err
	}
	id, err = strconv.ParseInt(in.ID, 10, 64)
	if err != nil || id < 1 || id > maxCheckpoint {
		return "", 0, errRequestID.With(err)
	}
	return in.ClientID, id, checkClient(in.ClientID)
}

func decode[T any](c echo.Context, into *T) error {
	body, err := httpapi.ReadBody(c, bodyLimit)
	if err != nil {
		return err
	}
	if err := strictjson.UnmarshalObject(body, into); err != nil {
		return errNotObject.With(err)
	}
	return nil
}

func checkClient(id string) error {
	if len(id) > maxClientLen || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return errClient
	}
	return nil
}
