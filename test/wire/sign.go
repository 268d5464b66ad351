package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/provisioner/provisioner/test/record"
)

// Event returns the body of an event that differs from all others with another n.
func Event(n int) string {
	return `{"userId":"reader","action":"page_turned","sentAt":"2026-03-20T10:15:30.000Z","n":` + strconv.Itoa(n) + `}`
}

// Signed is a request to /inbox, ready to be sent.
type Signed struct {
	Body   string
	Header []string // names and values
}

// Sign signs body as the contract says, at the time now.
func Sign(keyID, secret, body string, now time.Time) Signed {
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "." + body))
	signature := hex.EncodeToString(mac.Sum(nil))
	record.Keep("signature", signature)
	return Signed{body, []string{"X-Timestamp", timestamp, "X-Signature", signature, "X-Key-Id", keyID}}
}
