package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its script
	"encoding/hex"
	"html"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

//go:embed page/index.html
var index string

//go:embed page/show.js
var show []byte

const (
	script = "text/javascript; charset=utf-8"

	fiveMinutes = "public, max-age=300" // an upgrade shows soon
	aDay        = "public, max-age=86400"

	// policy lets the page load its own scripts and styles and call its own service, and nothing else. The data: images are
	// Swagger UI's.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// file is an answer that does not change while the service runs.
type file struct {
	contentType string
	content     []byte
	tag         string // a strong validator (RFC 9110 §8.8.3)
}

func newFile(contentType string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{contentType: contentType, content: content, tag: `"` + hex.EncodeToString(sum[:16]) + `"`}
}

func newPage(title string) file {
	return newFile("text/html; charset=utf-8", []byte(strings.Replace(index, "{{title}}", html.EscapeString(title), 1)))
}

// serve writes f, or 304 to whoever has it.
func (f file) serve(c echo.Context) error {
	describe(c, f.contentType, fiveMinutes)
	c.Response().Header().Set("Etag", f.tag)
	write(c, bytes.NewReader(f.content))
	return nil
}

func describe(c echo.Context, contentType, cache string) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, contentType)
	h.Set(echo.HeaderCacheControl, cache)
	h.Set(echo.HeaderContentSecurityPolicy, policy)
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
}

// write writes the whole of content, whatever part is asked for: the refusal of a bad range would not be JSON.
func write(c echo.Context, content io.ReadSeeker) {
	c.Request().Header.Del("Range")
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, content)
}
