package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/provisioner/provisioner/pkg/secret"
)

// A refresh token is base64url(version ‖ session id ‖ counter ‖ HMAC-SHA256 of these): it names its session and its place
// in the family, and is checked before any look-up. The database holds nothing that could make one.
const (
	tokenVersion = 1
	versionLen   = 1
	idLen        = 16
	counterLen   = 8
	signedLen    = versionLen + idLen + counterLen
	rawTokenLen  = signedLen + sha256.Size

	minAdoptedLen = 20
	maxAdoptedLen = 512
)

// codec makes and reads refresh tokens under its key.
type codec struct {
	key secret.Text
}

func (c codec) encode(id uuid.UUID, counter uint64) secret.Text {
	raw := make([]byte, versionLen, rawTokenLen)
	raw[0] = tokenVersion
	raw = append(raw, id[:]...)
	raw = binary.BigEndian.AppendUint64(raw, counter)
	raw = append(raw, c.mac(raw)...)
	return secret.New(base64.RawURLEncoding.EncodeToString(raw))
}

// decode returns what a token of this key names, and false for every other text: a line break in it is not passed over.
func (c codec) decode(token string) (id uuid.UUID, counter uint64, ok bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(rawTokenLen) {
		return uuid.Nil, 0, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != rawTokenLen || raw[0] != tokenVersion {
		return uuid.Nil, 0, false
	}
	if !hmac.Equal(raw[signedLen:], c.mac(raw[:signedLen])) {
		return uuid.Nil, 0, false
	}
	return uuid.UUID(raw[versionLen : versionLen+idLen]), binary.BigEndian.Uint64(raw[versionLen+idLen : signedLen]), true
}

// maybeAdopted reports whether a token could be one from before this server: printable ASCII of another length than ours.
func maybeAdopted(token string) bool {
	if len(token) < minAdoptedLen || len(token) > maxAdoptedLen || len(token) == base64.RawURLEncoding.EncodedLen(rawTokenLen) {
		return false
	}
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func (c codec) mac(signed []byte) []byte {
	h := hmac.New(sha256.New, c.key.Bytes())
	h.Write(signed)
	return h.Sum(nil)
}
