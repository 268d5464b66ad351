package mail

import (
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"net/url"
	"strings"
	plain "text/template"

	"github.com/provisioner/provisioner/pkg/secret"
)

//go:embed templates
var files embed.FS

var (
	plainText = plain.Must(plain.ParseFS(files, "templates/*.txt"))
	htmlText  = html.Must(html.ParseFS(files, "templates/*.html"))
)

// letter is what is fixed of a mail.
type letter struct {
	template string // the name of its files
	subject  string
	page     string // of the app, that it links to
}

var (
	verifyEmail   = letter{template: "verify_email", subject: "Please confirm your e-mail address", page: "verify-email"}
	resetPassword = letter{template: "reset_password", subject: "Choose a new password", page: "reset-password"}
)

// VerifyEmail returns the mail that has the reader of to prove that the address is theirs, within the 24 hours that the token
// lives. Its link goes to appBaseURL + "/verify-email?token=…"; a line of its text is exactly "Verification token: <token>".
func VerifyEmail(to, appBaseURL string, token secret.Text) (Message, error) {
	return verifyEmail.write(to, appBaseURL, token)
}

// ResetPassword returns the mail that has the reader of to choose a new password, within the 60 minutes that the token
// lives. Its link goes to appBaseURL + "/reset-password?token=…".
func ResetPassword(to, appBaseURL string, token secret.Text) (Message, error) {
	return resetPassword.write(to, appBaseURL, token)
}

func (l letter) write(to, appBaseURL string, token secret.Text) (Message, error) {
	link, err := linkTo(appBaseURL, l.page, token)
	if err != nil {
		return Message{}, err
	}
	shown := struct{ Link, Token string }{link, token.Reveal()}
	var inText, inHTML strings.Builder
	if err := plainText.ExecuteTemplate(&inText, l.template+".txt", shown); err != nil {
		return Message{}, fmt.Errorf("write mail: %w", err)
	}
	if err := htmlText.ExecuteTemplate(&inHTML, l.template+".html", shown); err != nil {
		return Message{}, fmt.Errorf("write mail: %w", err)
	}
	return Message{To: to, Subject: l.subject, Text: inText.String(), HTML: inHTML.String()}, nil
}

// linkTo returns the URL of a page of the app, with the token.
func linkTo(appBaseURL, page string, token secret.Text) (string, error) {
	base, err := url.Parse(appBaseURL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return "", errors.New("the app's base URL is not an http or https URL")
	}
	link := base.JoinPath(page)
	link.RawQuery = url.Values{"token": {token.Reveal()}}.Encode()
	return link.String(), nil
}
