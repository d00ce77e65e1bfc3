//go:build !unix

package server

// maxConnections returns the configured limit. If that is not set, it returns a million, because this system
// has no limit of descriptors to go by.
func maxConnections(configured int) int {
	if configured > 0 {
		return configured
	}
	return 1 << 20
}
