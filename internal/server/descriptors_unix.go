//go:build unix

package server

import "syscall"

// maxConnections is the configured limit, or what the descriptor limit allows less 64
// for everything else.
func maxConnections(configured int) int {
	if configured > 0 {
		return configured
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1 << 20
	}
	return int(min(max(limit.Cur, 128)-64, 1<<30))
}
