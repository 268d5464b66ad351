package papyrus

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isInUse reports whether somebody else listens there.
func isInUse(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}
