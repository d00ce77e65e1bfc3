//go:build !linux

package main

import "net"

// listenConfig has the runtime set keepalive on each connection.
func listenConfig() net.ListenConfig { return net.ListenConfig{KeepAliveConfig: keepalive} }
