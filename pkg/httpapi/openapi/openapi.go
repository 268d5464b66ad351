// Package openapi serves a service's OpenAPI document, and a page that shows it: Swagger UI, with nothing fetched from
// elsewhere. What the documents say stands beside the endpoints that they describe.
package openapi

import (
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/httpapi"
)

// Mount serves document, which is JSON and must not change, at GET /openapi.json, and at GET /docs a page with that title that
// shows it. Readers may keep both for a while, and ask again by their ETag.
func Mount(e *echo.Echo, document []byte, title string) {
	httpapi.Read(e, "/openapi.json", newFile("application/json; charset=utf-8", document).serve)
	httpapi.Read(e, "/docs", newPage(title).serve)
	httpapi.Read(e, "/docs/show.js", newFile(script, show).serve)
	httpapi.Read(e, "/docs/:asset", serveAsset)
}

// prefix is what the paths of the documents are written with.
const prefix = "/v1"

// versioned finds the prefix in a document. Supabase's paths have a /v1 of their own, which is no prefix.
var versioned = regexp.MustCompile(`(/auth|/functions)?/v1\b`)

// WithPrefix returns document with p, such as "/api/v1", in place of /v1 in its paths and wherever its text names them. For
// /v1 itself it returns document, not a copy.
func WithPrefix(document []byte, p string) []byte {
	if p == prefix {
		return document
	}
	return versioned.ReplaceAllFunc(document, func(found []byte) []byte {
		if len(found) > len(prefix) {
			return found
		}
		return []byte(p)
	})
}
