package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"github.com/provisioner/provisioner/pkg/client/library"
	"github.com/provisioner/provisioner/pkg/client/papyrus"
)

const homeFlag = "home"

// whatUsersKnow ends the help of every command of a user.
const whatUsersKnow = `

PAPYRUS_API_BASE_URL names the server (http://localhost:8080). Exit codes: 0 done, 1 failed, 2 the command line is wrong, 3 not signed
in, 4 the server cannot be reached.`

// app is the client on this device: what every command of a user has.
type app struct {
	home       string // the client's directory
	repository *papyrus.AuthRepository
	auth       *papyrus.AuthProvider
	library    *library.Service
	messages   *messages // of what the server did not take
}

// userCommand makes c a command of the client's user.
func userCommand(c *cobra.Command) *cobra.Command {
	c.GroupID = groupUser
	if c.Long == "" {
		c.Long = c.Short + "."
	}
	c.Long += whatUsersKnow
	c.PersistentFlags().String(homeFlag, "", "the client's `directory` (PROVISIONER_HOME; default provisioner in the system's directory for data)")
	return c
}

// withApp runs a command's work with the client, once the server has said who is signed in. Ctrl-C ends the context, which is the
// command's too.
func withApp(c *cobra.Command, work func(ctx context.Context, a *app) error) error {
	return runApp(c, (*papyrus.AuthProvider).Bootstrap, work)
}

// withDevice runs a command's work with the client as this device knows it, without a request: for what begins or ends a sign-in. Whether
// the server still takes the one there is makes no difference to it, and a library that only the end of that would clear stays.
func withDevice(c *cobra.Command, work func(ctx context.Context, a *app) error) error {
	return runApp(c, (*papyrus.AuthProvider).Restore, work)
}

// runApp runs a command's work with the client, once begin has found out who is signed in, and the library is that one's.
func runApp(c *cobra.Command, begin func(*papyrus.AuthProvider, context.Context) error, work func(ctx context.Context, a *app) error) error {
	return runBare(c, begin, func(ctx context.Context, a *app) error {
		if err := a.apply(ctx); err != nil {
			return err
		}
		return work(ctx, a)
	})
}

// runBare is runApp without the library.
func runBare(c *cobra.Command, begin func(*papyrus.AuthProvider, context.Context) error, work func(ctx context.Context, a *app) error) error {
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c.SetContext(ctx)
	err := useApp(ctx, c, begin, work)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}

func useApp(
	ctx context.Context, c *cobra.Command, begin func(*papyrus.AuthProvider, context.Context) error, work func(ctx context.Context, a *app) error,
) error {
	a, err := openApp(c)
	if err != nil {
		return err
	}
	defer func() { _ = a.library.Close() }()
	if err := begin(a.auth, ctx); err != nil {
		return err
	}
	return work(ctx, a)
}

// apply brings this device in line with who is signed in. It is called after each change of that.
func (a *app) apply(ctx context.Context) error {
	err := a.library.Apply(ctx, a.auth.State())
	switch {
	case errors.Is(err, library.ErrUnknownUser):
		return nil // only what needs the library fails
	case err != nil && !errors.Is(err, papyrus.ErrOtherUser):
		return fmt.Errorf("the library in %s: %w", a.home, err)
	}
	return err
}

func openApp(c *cobra.Command) (*app, error) {
	cfg, err := papyrus.ConfigFromEnvironment(os.Getenv)
	if err != nil {
		return nil, err
	}
	home, err := homeOf(c)
	if err != nil {
		return nil, err
	}
	store, err := papyrus.NewDeviceStore(home, cfg.APIBaseURL, keyringOf(os.Getenv))
	if err != nil {
		return nil, err
	}
	repository, err := papyrus.NewAuthRepository(cfg, store, papyrus.WithDeviceLabel(deviceLabel()))
	if err != nil {
		return nil, err
	}
	told := &messages{to: c.ErrOrStderr()}
	books := library.Open(home, repository, library.WithUploadHook(func(u library.Upload) { tellUpload(told, u) }))
	return &app{home, repository, papyrus.NewAuthProvider(repository, home), books, told}, nil
}

// homeOf returns the client's directory, which it makes for its owner alone.
func homeOf(c *cobra.Command) (string, error) {
	home, _ := c.Flags().GetString(homeFlag)
	home = cmp.Or(home, os.Getenv("PROVISIONER_HOME"), filepath.Join(xdg.DataHome, "provisioner"))
	return home, os.MkdirAll(home, 0o700) //nolint:gosec // the person names it
}

// keyringOf returns the system keyring, nil where there is none to ask. On Linux it is behind the session bus, and asking without one
// would start one.
func keyringOf(getenv func(string) string) papyrus.Keyring {
	if getenv("PROVISIONER_KEYRING") == "off" {
		return nil
	}
	if runtime.GOOS == "linux" && getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		if _, err := os.Stat(filepath.Join(xdg.RuntimeDir, "bus")); err != nil {
			return nil
		}
	}
	return papyrus.SystemKeyring{}
}

// deviceLabel is this device in the account's list of sessions.
func deviceLabel() string {
	host, err := os.Hostname()
	if err != nil {
		return "provisioner"
	}
	return "provisioner on " + host
}

// signedIn returns who is signed in, with the server in reach, or an error that says what to do.
func (a *app) signedIn() (papyrus.User, error) {
	switch s := a.auth.State(); s.Status {
	case papyrus.StatusSignedIn:
		return *s.User, nil
	case papyrus.StatusOffline:
		return papyrus.User{}, s.Err
	case papyrus.StatusOfflineMode:
		return papyrus.User{}, fmt.Errorf("%w: offline mode is on", papyrus.ErrSignedOut)
	default:
		return papyrus.User{}, cmp.Or(s.Err, papyrus.ErrSignedOut)
	}
}

// withUser runs a command's work if somebody is signed in.
func withUser(c *cobra.Command, work func(ctx context.Context, a *app) error) error {
	return withApp(c, func(ctx context.Context, a *app) error {
		if _, err := a.signedIn(); err != nil {
			return err
		}
		return a.applyAfter(ctx, work(ctx, a))
	})
}

// applyAfter returns the error of a command's work, having applied the state in which that leaves the device.
func (a *app) applyAfter(ctx context.Context, err error) error {
	return errors.Join(err, a.apply(ctx))
}

// exitCodeOf returns the exit code of an error, and the error with what to do about it.
func exitCodeOf(err error) (int, error) {
	switch {
	case errors.Is(err, papyrus.ErrSignedOut):
		return exitSignedOut, fmt.Errorf("%w: run `provisioner login`", err)
	case errors.Is(err, papyrus.ErrUnreachable):
		return exitUnreachable, err
	default:
		return exitFailed, err
	}
}
