package password

import "testing"

func TestBudget(t *testing.T) {
	const MiB = 1 << 20
	for _, tt := range []struct {
		name       string
		processors int
		limit      uint64
		want       int64 // KiB
	}{
		{"no limit: one hash a processor, but one", 4, 0, 3 * 19456},
		{"a large container: the same", 4, 4096 * MiB, 3 * 19456},
		{"one processor: one hash, or nobody could sign in", 1, 0, 19456},
		{"a small container: a quarter of it", 8, 256 * MiB, 64 << 10},
		{"a tiny container: one hash, or nobody could sign in", 8, 32 * MiB, 19456},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := budget(OWASP, tt.processors, tt.limit); got != tt.want {
				t.Errorf("budget() = %d KiB, want %d", got, tt.want)
			}
		})
	}
	if got := Budget(OWASP); got < int64(OWASP.Memory) {
		t.Errorf("Budget() = %d KiB", got)
	}
}
