package papyrus

import (
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	paceGrace   = 15 * time.Second // before a body must have come anywhere, as for any other request
	slowestPace = 16 << 10         // bytes a second that it must have kept up since
	answerTime  = 30 * time.Second // for the answer to get out
)

// pacedBody reads a body that may take longer than the server gives a request: the more has come, the longer may the rest take.
type pacedBody struct {
	body  io.Reader
	conn  *http.ResponseController
	now   func() time.Time
	begun time.Time
	read  int64
}

func newPacedBody(c echo.Context, now func() time.Time) *pacedBody {
	return &pacedBody{body: c.Request().Body, conn: http.NewResponseController(c.Response()), now: now, begun: now()}
}

// Read implements [io.Reader]. Where the connection has no deadlines, as in tests and bindings, neither has the body.
func (p *pacedBody) Read(b []byte) (int, error) {
	pace := time.Duration(p.read) * time.Second / slowestPace
	_ = p.conn.SetReadDeadline(p.begun.Add(paceGrace + pace))
	n, err := p.body.Read(b)
	p.read += int64(n)
	if err != nil {
		_ = p.conn.SetReadDeadline(time.Time{}) // or the server would take its passing for a client that is gone
	}
	return n, err
}

// close gives the answer time to get out, however long the body took.
func (p *pacedBody) close() { _ = p.conn.SetWriteDeadline(p.now().Add(answerTime)) }
