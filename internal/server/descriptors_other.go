//go:build !unix

package server

// maxConnections is the configured limit; without descriptor limits, a million.
func maxConnections(configured int) int {
	if configured > 0 {
		return configured
	}
	return 1 << 20
}
