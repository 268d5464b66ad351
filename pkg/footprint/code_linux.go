package footprint

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// forgetCode unmaps the pages of the program's code. Only those that may be executed and not written are touched: they are what the file
// holds. What goes wrong leaves them where they are.
func forgetCode() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if start, end, ok := codeOf(program, lines.Text()); ok {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_DONTNEED)
		}
	}
}

// codeOf returns where a line of /proc/self/maps (proc_pid_maps(5)) says that code of program is.
func codeOf(program, line string) (start, end uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 6 || fields[1] != "r-xp" || fields[5] != program {
		return 0, 0, false
	}
	_, err := fmt.Sscanf(fields[0], "%x-%x", &start, &end)
	return start, end, err == nil
}
