package wire

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/provisioner/provisioner/test/record"
)

// User is somebody with an account.
type User struct{ Email, Password, JWT, RefreshToken string }

// SignUp makes an account by way of a sender, ours or another.
func (c Client) SignUp(sender string) (User, error) {
	u := User{Email: strings.ToLower(rand.Text()) + "@example.com", Password: record.NewSecret("password")}
	record.Keep("e-mail address", u.Email)
	a, err := c.Post(sender+"/signup", u.Credentials())
	if err != nil {
		return User{}, err
	}
	if a.Status != http.StatusCreated {
		return User{}, fmt.Errorf("sign-up: %v", a)
	}
	u.JWT, u.RefreshToken = a.Member("jwt"), a.Member("refreshToken")
	record.Keep("jwt", u.JWT)
	if u.RefreshToken != "" {
		record.Keep("refresh token", u.RefreshToken)
	}
	return u, nil
}

// Credentials is the body with which the user signs up and in.
func (u User) Credentials() string {
	return fmt.Sprintf(`{"email":%q,"password":%q}`, u.Email, u.Password)
}

// KeyRequest is the body with which the user asks for an API key.
func (u User) KeyRequest(name string) string {
	return fmt.Sprintf(`{"action":"provision_api_key","jwt":%q,"name":%q,"tier":"new"}`, u.JWT, name)
}

// KeepToken puts the API key of a successful answer on the record and returns it.
func KeepToken(a Answer) (string, error) {
	token := a.Member("token")
	if a.Status != http.StatusOK || len(token) < 64 {
		return "", fmt.Errorf("no API key: %v", a)
	}
	record.Keep("API key", token)
	return token, nil
}
