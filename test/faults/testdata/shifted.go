package cmd

import (
	"os"
	"time"
)

// shifted is a clock that is wrong by the duration in the file that CLOCK_SHIFT names, "-10m".
func shifted() time.Time {
	text, _ := os.ReadFile(os.Getenv("CLOCK_SHIFT"))
	by, _ := time.ParseDuration(string(text))
	return time.Now().Add(by)
}
