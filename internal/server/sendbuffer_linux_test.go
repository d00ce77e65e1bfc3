package server

import (
	"net"
	"net/http"
	"syscall"
	"testing"
)

// The kernel holds as little for a peer that asks for pages and does not read them as for one in a room.
func TestSendBuffer(t *testing.T) {
	e := newEdge(t, nil)
	ours, err := net.Dial("tcp", e.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	e.s.ConnState(ours, http.StateNew)
	defer e.s.ConnState(ours, http.StateClosed)
	raw, err := ours.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var size int
	raw.Control(func(fd uintptr) { size, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF) })
	if want := 2 * sendBuffer; err != nil || size != want { // Linux doubles it, for what it needs itself
		t.Errorf("a send buffer of %d bytes, %v, want %d", size, err, want)
	}
}
