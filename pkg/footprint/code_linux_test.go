package footprint

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestShrinkUnmapsCode(t *testing.T) {
	before := residentFile(t)
	forgetCode()
	after := residentFile(t)
	t.Logf("%d KiB of files resident, then %d", before, after)
	if after >= before {
		t.Errorf("%d KiB of files are resident, and were %d", after, before)
	}
	Shrink() // and the program goes on
}

// residentFile returns how much of the files that the process has mapped is resident, in KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssFile:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no RssFile")
	return 0
}

func TestCodeOf(t *testing.T) {
	const program = "/usr/bin/provisioner"
	for _, tt := range []struct {
		name, line string
		ok         bool
	}{
		{"its code", "00400000-015a9000 r-xp 00000000 fe:00 10330583                           " + program, true},
		{"its data", "0289f000-029bd000 rw-p 0249f000 fe:00 10330583                           " + program, false},
		{"its constants, which a loader may have written", "015a9000-0289f000 r--p 011a9000 fe:00 10330583  " + program, false},
		{"a library's", "7f0000000000-7f0000001000 r-xp 00000000 fe:00 1  /lib/x86_64-linux-gnu/libc.so.6", false},
		{"nobody's", "7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0  [vdso]", false},
		{"of a file that was replaced", "00400000-015a9000 r-xp 00000000 fe:00 1  " + program + " (deleted)", false},
		{"no line", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start, end, ok := codeOf(program, tt.line)
			if ok != tt.ok || ok && (start != 0x400000 || end != 0x15a9000) {
				t.Errorf("codeOf = %x, %x, %t", start, end, ok)
			}
		})
	}
}
