//go:build !windows

package papyrus

import (
	"errors"
	"syscall"
)

// isInUse reports whether somebody else listens there.
func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
