package papyrus

import (
	"github.com/labstack/echo/v4"

	"github.com/provisioner/provisioner/pkg/mail"
	"github.com/provisioner/provisioner/pkg/ratelimit"
	"github.com/provisioner/provisioner/pkg/secret"
)

// verifyEmail serves POST /v1/auth/verify-email: {token} to 200 Message. Codes: VALIDATION_ERROR, with 400 for a token that is
// unknown, used or expired, RATE_LIMITED.
func (a api) verifyEmail(c echo.Context) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	token := f.text("token")
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, ratelimit.VerifyEmail); err != nil {
		return err
	}
	if err := a.Accounts.VerifyEmail(c.Request().Context(), token); err != nil {
		return err
	}
	return writeMessage(c, "The email address is verified")
}

// resendVerification serves POST /v1/auth/resend-verification: {email} to 200 Message, the same for every address. Codes:
// VALIDATION_ERROR, RATE_LIMITED, SERVICE_UNAVAILABLE where no mail is sent at all.
func (a api) resendVerification(c echo.Context) error {
	return a.requestMail(c, ratelimit.ResendVerification, mail.KindVerifyEmail,
		"If the address needs to be verified, a mail is on its way")
}

// forgotPassword serves POST /v1/auth/forgot-password: {email} to 200 Message, the same for every address. Codes: VALIDATION_ERROR,
// RATE_LIMITED, SERVICE_UNAVAILABLE where no mail is sent at all.
func (a api) forgotPassword(c echo.Context) error {
	return a.requestMail(c, ratelimit.ForgotPassword, mail.KindResetPassword,
		"If there is an account for the address, a mail is on its way")
}

func (a api) requestMail(c echo.Context, bucket ratelimit.Bucket, kind mail.Kind, answer string) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	email := f.email()
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, bucket); err != nil {
		return err
	}
	if err := a.Accounts.RequestMail(c.Request().Context(), kind, email); err != nil {
		return err
	}
	return writeMessage(c, answer)
}

// resetPassword serves POST /v1/auth/reset-password: {token, password} to 200 Message; all sessions end. Codes: VALIDATION_ERROR,
// with 400 for a token that is unknown, used or expired, RATE_LIMITED, SERVICE_UNAVAILABLE.
func (a api) resetPassword(c echo.Context) error {
	f, err := a.form(c)
	if err != nil {
		return err
	}
	token, pass := f.text("token"), secret.New(f.text("password"))
	if err := f.refusal(); err != nil {
		return err
	}
	if err := a.attempts.Admit(c, ratelimit.ResetPassword); err != nil {
		return err
	}
	if err := a.Accounts.ResetPassword(c.Request().Context(), token, pass); err != nil {
		return weak("password", err)
	}
	return writeMessage(c, "The password is changed; sign in with it")
}
