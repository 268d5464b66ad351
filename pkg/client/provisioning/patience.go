package provisioning

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"os"
	"time"
)

// timeout is how long a try waits for a connection, then for an answer to begin, then for each next part of it: Dio's
// connectTimeout and receiveTimeout. Neither bounds the whole; a caller's context does.
const timeout = 10 * time.Second

var errSilence = fmt.Errorf("nothing came for %v: %w", timeout, os.ErrDeadlineExceeded)

// patience ends a try's context when nothing has come for [timeout].
type patience struct {
	ctx    context.Context
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func newPatience(ctx context.Context) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{ctx: ctx, cancel: cancel}
	p.timer = time.AfterFunc(timeout, func() { cancel(errSilence) })
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.renew() },
	}), p
}

func (p *patience) renew() { p.timer.Reset(timeout) }

func (p *patience) end() {
	p.timer.Stop()
	p.cancel(nil)
}

// explain puts the time-out in place of the cancellation that it caused.
func (p *patience) explain(err error) error {
	if errors.Is(context.Cause(p.ctx), errSilence) {
		return errSilence
	}
	return err
}

// reader has patience renewed by each part of body.
func (p *patience) reader(body io.Reader) io.Reader {
	p.renew()
	return readFunc(func(b []byte) (int, error) {
		n, err := body.Read(b)
		if n > 0 {
			p.renew()
		}
		return n, err
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
