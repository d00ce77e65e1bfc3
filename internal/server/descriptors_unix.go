//go:build unix

package server

import "syscall"

// maxConnections returns the configured limit. If that is not set, it returns the limit of descriptors minus
// 64, which are kept for everything else.
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
