package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
)

// Message is a mail as it came.
type Message struct {
	From     string   // of the envelope
	To       []string // of the envelope
	TLS      bool     // it came over TLS
	SignedIn bool     // whoever sent it had signed in
	Header   mail.Header
	Text     string // the part text/plain, decoded, with lines that end in \n
	HTML     string // the part text/html, likewise
	Raw      string // header and body, as they came
}

// Subject returns the subject, decoded.
func (m Message) Subject() string {
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return m.Header.Get("Subject")
	}
	return subject
}

// parse reads a message with one part, or with alternatives.
func parse(raw []byte) (Message, error) {
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Message{}, err
	}
	m := Message{Header: parsed.Header, Raw: string(raw)}
	kind, parameters, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return Message{}, fmt.Errorf("Content-Type: %w", err)
	}
	if kind != "multipart/alternative" {
		err := m.addPart(textproto.MIMEHeader(parsed.Header), parsed.Body)
		return m, err
	}
	for parts := multipart.NewReader(parsed.Body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return Message{}, err
		}
		if err := m.addPart(part.Header, part); err != nil {
			return Message{}, err
		}
	}
}

func (m *Message) addPart(header textproto.MIMEHeader, body io.Reader) error {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("Content-Type: %w", err)
	}
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	decoded, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	lines := strings.ReplaceAll(string(decoded), "\r\n", "\n")
	switch kind {
	case "text/plain":
		m.Text = lines
	case "text/html":
		m.HTML = lines
	}
	return nil
}
