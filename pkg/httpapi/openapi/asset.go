package openapi

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"
)

// asset is a file of Swagger UI that the page loads.
type asset struct {
	contentType string
	stored      string // its name in static.FS; compressed if that ends in .gz
}

// assets are the files of Swagger UI by their names below /docs/.
var assets = map[string]asset{
	"favicon-32x32.png":    {"image/png", "favicon-32x32.png"},
	"swagger-ui-bundle.js": {script, "swagger-ui-bundle.js.gz"},
	"swagger-ui.css":       {"text/css; charset=utf-8", "swagger-ui.css.gz"},
}

// serveAsset serves GET /docs/{asset} from where the program's file has it, compressed: nothing is kept in memory.
func serveAsset(c echo.Context) error {
	a, ok := assets[c.Param("asset")]
	if !ok {
		return echo.ErrNotFound
	}
	f, err := static.FS.Open(a.stored)
	if err != nil {
		return fmt.Errorf("open asset: %w", err)
	}
	defer func() { _ = f.Close() }()

	describe(c, a.contentType, aDay)
	h := c.Response().Header()
	if !strings.HasSuffix(a.stored, ".gz") {
		write(c, f.(io.ReadSeeker))
		return nil
	}
	h.Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if !acceptsGzip(c.Request()) {
		return inflate(c, f)
	}
	h.Set(echo.HeaderContentEncoding, "gzip")
	write(c, f.(io.ReadSeeker))
	return nil
}

// acceptsGzip reports whether the client names gzip among what it takes, without the weight 0 (RFC 9110 §12.5.3).
func acceptsGzip(r *http.Request) bool {
	for _, offer := range strings.Split(strings.Join(r.Header.Values(echo.HeaderAcceptEncoding), ","), ",") {
		coding, weight, weighted := strings.Cut(offer, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			return !weighted || strings.Trim(weight, " q=.0") != ""
		}
	}
	return false
}

func inflate(c echo.Context, compressed io.Reader) error {
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	content, err := gzip.NewReader(compressed)
	if err != nil {
		return fmt.Errorf("inflate asset: %w", err)
	}
	if _, err := io.Copy(c.Response(), content); err != nil { //nolint:gosec // its length is compiled in
		return fmt.Errorf("write asset: %w", err)
	}
	return nil
}
