package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const healthcheckTimeout = 2 * time.Second

// Healthcheck asks url, a group's /readyz, and returns nil if it answers 200 within two seconds. Otherwise its error says
// which checks fail there.
func Healthcheck(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	// Not by way of a proxy, and not elsewhere: it is this process that is asked for.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return unready(resp)
}

func unready(resp *http.Response) error {
	var s status
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4<<10)).Decode(&s); err != nil || s.Status == "" {
		return fmt.Errorf("not ready: the answer is %s", resp.Status)
	}
	if len(s.Failing) > 0 {
		return errors.New("not ready: failing: " + strings.Join(s.Failing, ", "))
	}
	return errors.New("not ready: " + s.Status)
}
