//go:build !linux

package main

import (
	"net"

	"github.com/doyasa/doyasa/internal/server"
)

// listenConfig makes the runtime set keepalive on each connection.
func listenConfig() net.ListenConfig { return net.ListenConfig{KeepAliveConfig: keepalive} }

// tuned returns a listener that sets the size of the send buffer of each connection.
func tuned(l net.Listener) net.Listener { return tunedListener{l} }

type tunedListener struct{ net.Listener }

func (l tunedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(server.SendBuffer)
	}
	return nc, err
}
