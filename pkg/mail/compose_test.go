package mail_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/secret"
)

const token = "k3Zt9mQwXv-_aB0yR1sN4uLp7cHdJfGeKiOqTzWxYvU"

func TestLetters(t *testing.T) {
	for name, write := range map[string]func(to, appBaseURL string, token secret.Text) (mail.Message, error){
		"verify_email": mail.VerifyEmail, "reset_password": mail.ResetPassword,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := write(reader, "https://books.example", secret.New(token))
			if err != nil {
				t.Fatal(err)
			}
			if got.To != reader {
				t.Errorf("To = %q", got.To)
			}
			for file, part := range map[string]string{".txt": "Subject: " + got.Subject + "\n\n" + got.Text, ".html": got.HTML} {
				want, err := os.ReadFile("testdata/" + name + file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), part); diff != "" {
					t.Errorf("%s (-want +got):\n%s", file, diff)
				}
			}
		})
	}
}

func TestVerificationTokenIsALine(t *testing.T) {
	m, err := mail.VerifyEmail(reader, "https://books.example", secret.New(token))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Split(m.Text, "\n"), "Verification token: "+token) {
		t.Errorf("no line with the token in:\n%s", m.Text)
	}
}

func TestLinks(t *testing.T) {
	for base, want := range map[string]string{
		"https://books.example":                 "https://books.example/reset-password?token=",
		"https://books.example/":                "https://books.example/reset-password?token=",
		"https://books.example/app/":            "https://books.example/app/reset-password?token=",
		"http://localhost:43821":                "http://localhost:43821/reset-password?token=",
		"https://books.example/?a=b":            "https://books.example/reset-password?token=",
		"":                                      "",
		"books.example":                         "",
		"javascript://books.example/%0aalert()": "",
		"papyrus://open":                        "",
		"https://":                              "",
		"https://a b":                           "",
	} {
		m, err := mail.ResetPassword(reader, base, secret.New(token))
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", base, err)
		}
		if want != "" && (!strings.Contains(m.Text, "\n"+want+token+"\n") || !strings.Contains(m.HTML, `"`+want+token+`"`)) {
			t.Errorf("%q: no link to %s in:\n%s%s", base, want, m.Text, m.HTML)
		}
	}
}

func TestTokensAreEscaped(t *testing.T) {
	m, err := mail.VerifyEmail(reader, "https://books.example", secret.New(`"><script>&a=b#c`))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.HTML, "<script>") || !strings.Contains(m.HTML, `?token=%22%3E%3Cscript%3E%26a%3Db%23c"`) {
		t.Errorf("not escaped:\n%s", m.HTML)
	}
}
