package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/apierror"
)

// ReadBody reads the whole body once, up to limit bytes. It returns 413 BODY_TOO_LARGE for more; a declared length over the
// limit is refused before anything is read.
func ReadBody(c echo.Context, limit int64) ([]byte, error) {
	r := c.Request()
	if r.ContentLength > limit {
		return nil, tooLarge(nil)
	}
	r.Body = http.MaxBytesReader(c.Response(), r.Body, limit)

	var body []byte
	var err error
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(r.Body)
	}
	if err == nil {
		return body, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(err)
	}
	return nil, apierror.New(http.StatusBadRequest, apierror.JSONParseError, "the body ended early").With(err)
}

func tooLarge(cause error) error {
	return apierror.New(http.StatusRequestEntityTooLarge, apierror.BodyTooLarge, "the body is too large").With(cause)
}

// RequireJSON returns 415 UNSUPPORTED_MEDIA_TYPE unless the request says that its body is application/json, not encoded.
func RequireJSON(c echo.Context) error {
	if !isJSON(c.Request().Header.Get(echo.HeaderContentType)) {
		return apierror.New(http.StatusUnsupportedMediaType, apierror.UnsupportedMediaType, "the body must be application/json in UTF-8")
	}
	return RequireIdentity(c)
}

func isJSON(contentType string) bool {
	if contentType == echo.MIMEApplicationJSON { // as most say it
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	charset, given := params["charset"]
	return err == nil && media == echo.MIMEApplicationJSON && (!given || isUTF8(charset))
}

// RequireIdentity returns 415 UNSUPPORTED_MEDIA_TYPE for a body with a Content-Encoding or trailers: it would not be the
// bytes that were signed.
func RequireIdentity(c echo.Context) error {
	r := c.Request()
	if len(r.Header.Values(echo.HeaderContentEncoding)) > 0 || len(r.Trailer) > 0 {
		return apierror.New(http.StatusUnsupportedMediaType, apierror.UnsupportedMediaType, "the body must have no content encoding and no trailers")
	}
	return nil
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
