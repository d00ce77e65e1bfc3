package bench

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/doyasa/doyasa/wsproto"
)

// A faulty server has rooms as they should be, except for what its fault does to them.
type faulty struct {
	t     *testing.T
	fault fault
	v1    bool

	mu    sync.Mutex
	rooms map[string]*faultyRoom // guarded by mu
	held  []byte                 // guarded by mu: a frame that a fault keeps for later
}

type faultyRoom struct {
	members []net.Conn
	spoke   map[net.Conn]bool
	n       int // messages said that are no probes
}

// A fault makes the frames that a member is written out of the one it is owed: the n-th message of its room, counted from 1. It
// may close the connection. nil: no fault.
type fault func(s *faulty, member, n int, frame []byte, nc net.Conn) [][]byte

// start listens on loopback and returns where.
func (s *faulty) start() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.rooms = make(map[string]*faultyRoom)
	var running sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn // guarded by mu
	running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, nc)
			mu.Unlock()
			running.Go(func() { s.serve(nc) })
		}
	})
	s.t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, nc := range all {
			nc.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().String()
}

func (s *faulty) serve(nc net.Conn) {
	defer nc.Close()
	br := bufio.NewReader(nc)
	request, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	chosen := ""
	if s.v1 {
		chosen = subprotocol
	}
	nc.Write(wsproto.AppendResponse(nil, request.Header.Get("Sec-WebSocket-Key"), chosen))
	name := request.URL.Query().Get("room")
	s.mu.Lock()
	if s.rooms[name] == nil {
		s.rooms[name] = &faultyRoom{spoke: make(map[net.Conn]bool)}
	}
	rm := s.rooms[name]
	rm.members = append(rm.members, nc)
	s.mu.Unlock()

	in := wsproto.NewAssembler(wsproto.RoleServer, wsproto.Limits{})
	buf := make([]byte, 64<<10)
	for {
		n, err := br.Read(buf)
		for b := buf[:n]; len(b) > 0; {
			var ev wsproto.Event
			var err error
			if ev, b, err = in.Next(b); err != nil {
				s.t.Errorf("the generator breaks the protocol: %v", err)
				return
			}
			if ev.Opcode == wsproto.OpText {
				s.say(rm, nc, ev.Payload)
			}
		}
		if err != nil {
			return
		}
	}
}

// say fans a message out, in one order: the lock's.
func (s *faulty) say(rm *faultyRoom, from net.Conn, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.v1 {
		payload = payload[len(sayBegin) : len(payload)-len(sayEnd)]
	}
	k, _, _, ok := parseHead(payload)
	if !ok {
		s.t.Errorf("the generator says %q", payload)
	}
	isProbe := k.sender() == probe
	if !isProbe {
		rm.n++
		rm.spoke[from] = true
	}
	if s.v1 {
		if isProbe { // a position would have to be counted
			payload = fmt.Appendf(nil, `{"type":"message","seq":0,"prev":0,"text":"%s","at":1}`, payload)
		} else {
			payload = fmt.Appendf(nil, `{"type":"message","seq":%d,"prev":%d,"text":"%s","at":1}`, rm.n, rm.n-1, payload)
		}
	}
	frame := textFrame(payload)
	for i, nc := range rm.members {
		frames := [][]byte{frame}
		if s.fault != nil && !isProbe {
			frames = s.fault(s, i, rm.n, frame, nc)
		}
		for _, f := range frames {
			nc.Write(f)
		}
	}
}

// listener is the first member of a room who only listens, once every sender has said something.
func (rm *faultyRoom) listener() int {
	return slices.IndexFunc(rm.members, func(nc net.Conn) bool { return !rm.spoke[nc] })
}

func textFrame(payload []byte) []byte {
	return wsproto.AppendFrame(nil, wsproto.Header{Fin: true, Opcode: wsproto.OpText}, payload)
}
