package cmd

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestErrorsDoNothingToATerminal has the certificate of a stranger on the way say what an error repeats.
func TestErrorsDoNothingToATerminal(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"\x1b[2Jall is well\x07\r"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the handshake that fails
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Setenv("PAPYRUS_API_BASE_URL", strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	t.Setenv("PROVISIONER_KEYRING", "off")

	var errs bytes.Buffer
	code := run(t.Context(), []string{"login", "ann@example.com", "--home", t.TempDir()}, strings.NewReader("a long password"), &errs, &errs)
	if code != exitUnreachable || !strings.Contains(errs.String(), "x509") || strings.ContainsAny(errs.String(), "\x1b\a\r") {
		t.Errorf("exit code %d, %q", code, errs.String())
	}
}
