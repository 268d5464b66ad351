// Provisioner gives an app with a mobile or web client what it must never hold itself: accounts, API keys and sync
// tokens.
package main

import (
	"os"

	"github.com/provisioner/provisioner/cmd"
)

func main() { os.Exit(cmd.Main()) }
