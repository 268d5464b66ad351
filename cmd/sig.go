package cmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/config"
	"github.com/provisioner/provisioner/pkg/signing"
)

func newSig() *cobra.Command {
	c := &cobra.Command{
		Use:     "sig",
		Short:   "Sign, verify and explain requests to the inbox",
		Example: "  provisioner sig explain --request captured.txt",
		Long:    "Sign, verify and explain requests to the inbox, with the keyring that is configured (SIGNING_KEYS and ACTIVE_KEY_ID, or SHARED_SECRET).",
	}
	c.AddCommand(newSigSign(), newSigVerify(), newSigExplain())
	return c
}

func newSigSign() *cobra.Command {
	var timestamp int64
	c := &cobra.Command{
		Use:   "sign [FILE]",
		Short: "Sign a body, and print the headers",
		Long:  "Sign the body in a file, or on standard input, byte for byte, and print the headers as curl -H @file takes them.",
		Example: `  provisioner sig sign body.json > headers.txt
  curl -H @headers.txt --data-binary @body.json http://127.0.0.1:8788/inbox`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := signingConfig(c, config.Sender)
			if err != nil {
				return err
			}
			keys, err := newSigningKeys(cfg.Keyring)
			if err != nil {
				return err
			}
			body, err := bulkInput(c, args)
			if err != nil {
				return err
			}
			at := time.Now()
			if timestamp != 0 {
				at = time.UnixMilli(timestamp)
			}
			headers, err := keys.Sign(at, body)
			if err != nil {
				return err
			}
			return printHeaders(c.OutOrStdout(), headers)
		},
	}
	c.Flags().Int64Var(&timestamp, "timestamp", 0, "sign as sent at these `milliseconds` since the Unix epoch (default now)")
	return c
}

func printHeaders(w io.Writer, h signing.Headers) error {
	lines := []string{"x-timestamp: " + h.Timestamp, "x-signature: " + h.Signature}
	if h.KeyID != "" {
		lines = append(lines, "x-key-id: "+h.KeyID)
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

// captured is a request as it was seen on the wire.
type captured struct {
	headers signing.Headers
	body    []byte
}

// captureFlags reads a captured request: headers by flags and the body by file, or both from one file in HTTP/1.1 form.
type captureFlags struct {
	timestamp, signature, keyID string
	request                     string
	at                          int64
}

func (f *captureFlags) bind(c *cobra.Command) {
	c.Flags().StringVar(&f.timestamp, "timestamp", "", "the x-timestamp header")
	c.Flags().StringVar(&f.signature, "signature", "", "the x-signature header")
	c.Flags().StringVar(&f.keyID, "key-id", "", "the x-key-id header")
	c.Flags().StringVar(&f.request, "request", "", "a `file` with the whole request in HTTP/1.1 form, instead of the other flags")
	c.Flags().Int64Var(&f.at, "at", 0, "judge as at these `milliseconds` since the Unix epoch (default now)")
}

func (f *captureFlags) now() time.Time {
	if f.at != 0 {
		return time.UnixMilli(f.at)
	}
	return time.Now()
}

func (f *captureFlags) read(c *cobra.Command, args []string) (captured, error) {
	if f.request != "" {
		return readRequestFile(f.request)
	}
	if f.timestamp == "" || f.signature == "" {
		return captured{}, &usageError{errors.New("give --timestamp and --signature, or --request")}
	}
	body, err := bulkInput(c, args)
	return captured{signing.Headers{Timestamp: f.timestamp, Signature: f.signature, KeyID: f.keyID}, body}, err
}

// readRequestFile parses a request as it was captured. The body is everything behind the empty line, whatever the headers
// say of its length.
func readRequestFile(path string) (captured, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return captured{}, err
	}
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found {
		if head, body, found = bytes.Cut(raw, []byte("\n\n")); !found {
			return captured{}, fmt.Errorf("%s has no empty line between headers and body", path)
		}
	}
	head = append(bytes.ReplaceAll(bytes.ReplaceAll(head, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")), "\r\n\r\n"...)
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return captured{}, fmt.Errorf("%s is no HTTP/1.1 request: %w", path, err)
	}
	headers, err := signing.FromHTTP(req.Header)
	if err != nil {
		return captured{}, fmt.Errorf("%s: %w", path, err)
	}
	return captured{headers, body}, nil
}

func newSigVerify() *cobra.Command {
	var flags captureFlags
	c := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Tell whether the receiver would accept a signature",
		Long:  "Tell whether the receiver would accept the signature of a body, in a file or on standard input. The exit code is 1 if not.",
		Example: `  provisioner sig verify --timestamp 1700000000000 --signature 36… --key-id k1 body.json
  provisioner sig verify --request captured.txt --at 1700000000500`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			verifier, request, err := flags.prepare(c, args)
			if err != nil {
				return err
			}
			if _, err := verifier.Verify(request.headers, request.body); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "the signature is right")
			return err
		},
	}
	flags.bind(c)
	return c
}

func newSigExplain() *cobra.Command {
	var flags captureFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain [FILE]",
		Short: "Tell which part of a captured request does not fit",
		Long: `Tell which part of a captured request does not fit: time, key id, signature or body. It tries the usual mistakes, and
prints neither secrets nor valid signatures. The exit code is 1 if a part does not fit.`,
		Example: "  provisioner sig explain --request captured.txt",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			verifier, request, err := flags.prepare(c, args)
			if err != nil {
				return err
			}
			return printFindings(c, verifier.Explain(request.headers, request.body), asJSON)
		},
	}
	flags.bind(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printFindings(c *cobra.Command, findings []signing.Finding, asJSON bool) error {
	fits := true
	for _, f := range findings {
		fits = fits && f.OK
		if !asJSON {
			_, _ = fmt.Fprintf(c.OutOrStdout(), "%-4s %-10s %s\n", mark(f.OK), f.Part, f.Detail)
		}
	}
	if asJSON {
		if err := printJSON(c, findings); err != nil {
			return err
		}
	}
	if !fits {
		return errSilent
	}
	return nil
}

func mark(ok bool) string {
	if ok {
		return "ok"
	}
	return "BAD"
}

// prepare reads the request and the receiver's keyring and window.
func (f *captureFlags) prepare(c *cobra.Command, args []string) (*signing.Verifier, captured, error) {
	request, err := f.read(c, args)
	if err != nil {
		return nil, captured{}, err
	}
	cfg, err := signingConfig(c, config.Receiver)
	if err != nil {
		return nil, captured{}, err
	}
	keys, err := newSigningKeys(cfg.Keyring)
	if err != nil {
		return nil, captured{}, err
	}
	return signing.NewVerifier(keys, cfg.ReplayWindow, f.now), request, nil
}

// signingConfig returns the settings of signatures that a service would run with.
func signingConfig(c *cobra.Command, s config.Service) (*config.Config, error) {
	cfg, _, err := config.LoadPart(config.Options{Service: s, Flags: c.Flags()},
		"SIGNING_KEYS", "ACTIVE_KEY_ID", "SHARED_SECRET", "KEY_ROTATION_DATES", "REPLAY_WINDOW_MS")
	return cfg, err
}
