package syncapi

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/syncstream"
)

const (
	// patience is how long a device may take nothing before it is cut off. It holds for each piece: slow devices take long for a page.
	patience = 30 * time.Second
	piece    = 16 << 10

	ndjsonType = "application/x-ndjson"
	bsonType   = "application/vnd.powersync.bson-stream" // devices compare it byte by byte
)

// wire is the way to one device. What is written to it is on its way at once. It keeps no buffer: it is idle nearly all the time.
type wire struct {
	response *echo.Response
	control  *http.ResponseController
	format   syncstream.Format
	out      io.Writer // paced, or a compressor onto it
	gzip     *gzip.Writer
}

func newWire(c echo.Context) *wire {
	w := &wire{response: c.Response(), control: http.NewResponseController(c.Response().Writer), format: format(c.Request())}
	w.out = paced{w}
	if quality(c.Request().Header.Values(echo.HeaderAcceptEncoding), "gzip") > 0 {
		w.gzip, _ = gzip.NewWriterLevel(w.out, gzip.StatelessCompression) // the level is one
		w.out = w.gzip
	}
	_ = w.control.SetReadDeadline(time.Time{}) // the server's is for the body; what is no connection has none
	return w
}

// Write sends one line; the header goes before the first.
func (w *wire) Write(line []byte) (int, error) {
	if !w.response.Committed {
		w.begin()
	}
	n, err := w.out.Write(line)
	if err != nil {
		return n, err
	}
	w.extend()
	return n, w.control.Flush()
}

func (w *wire) begin() {
	h := w.response.Header()
	h.Set(echo.HeaderContentType, ndjsonType)
	if w.format == syncstream.BSON {
		h.Set(echo.HeaderContentType, bsonType)
	}
	if w.gzip != nil {
		h.Set(echo.HeaderContentEncoding, "gzip")
	}
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold lines back
	w.response.WriteHeader(http.StatusOK)
}

// extend begins the device's patience anew.
func (w *wire) extend() { _ = w.control.SetWriteDeadline(time.Now().Add(patience)) }

// end completes the response of a device that may have gone.
func (w *wire) end() {
	if w.gzip != nil {
		w.extend()
		_ = w.gzip.Close()
	}
}

// paced writes piece by piece, with patience for each.
type paced struct{ *wire }

func (p paced) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		next := b[:min(len(b), piece)]
		p.extend()
		n, err := p.response.Write(next)
		written += n
		if err != nil {
			return written, err
		}
		b = b[len(next):]
	}
	return written, nil
}

// format returns how a device wants its lines: in BSON only where it says so, and does not prefer the other.
func format(r *http.Request) syncstream.Format {
	accept := r.Header.Values(echo.HeaderAccept)
	if q := quality(accept, bsonType); q > 0 && q >= quality(accept, ndjsonType) {
		return syncstream.BSON
	}
	return syncstream.NDJSON
}

// quality returns the weight of a name in the values of an Accept header (RFC 9110 §12.4.2), 0 where it is not there.
func quality(values []string, name string) float64 {
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		item, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(item), name) {
			continue
		}
		for param := range strings.SplitSeq(params, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if !strings.EqualFold(key, "q") {
				continue
			}
			q, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0
			}
			return q
		}
		return 1
	}
	return 0
}
