//go:build !linux

package main

import (
	"net"

	"github.com/doyasa/doyasa/internal/server"
)

// listenConfig has the runtime set keepalive on each connection.
func listenConfig() net.ListenConfig { return net.ListenConfig{KeepAliveConfig: keepalive} }

// tuned sets on each connection what the kernel may hold for its peer.
func tuned(l net.Listener) net.Listener { return tunedListener{l} }

type tunedListener struct{ net.Listener }

func (l tunedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(server.SendBuffer)
	}
	return nc, err
}
