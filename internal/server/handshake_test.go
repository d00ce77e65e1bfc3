package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/conntest"
	"github.com/doyasa/doyasa/wsproto"
)

// A watched connection calls first before the first write to it.
type watched struct {
	net.Conn
	once  sync.Once
	first func()
}

func (w *watched) Write(b []byte) (int, error) {
	w.once.Do(w.first)
	return w.Conn.Write(b)
}

type watchedListener struct {
	net.Listener
	first func()
}

func (l watchedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &watched{Conn: nc, first: l.first}, err
}

// A client that has seen the 101 misses nothing that is said from then on, not even a message that is said while
// the 101 is written.
func TestMemberFromThe101On(t *testing.T) {
	s, err := New(Options{Config: config.Default(), Log: zerolog.Nop(), Page: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	listener := conntest.NewListener(1 << 20)
	meanwhile := func() {
		if _, err := s.hub.Publish(context.Background(), "doyasa", &hub.Message{Payload: []byte("said meanwhile")}); err != nil {
			t.Error(err)
		}
	}
	server := &http.Server{Handler: s.Handler()}
	go server.Serve(watchedListener{listener, meanwhile})
	defer func() {
		s.Shutdown(context.Background())
		server.Close()
	}()

	nc, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	request := wsproto.ClientRequest{Host: "chat.example", Target: "/websocket", Key: "dGhlIHNhbXBsZSBub25jZQ=="}
	if _, err := nc.Write(wsproto.AppendRequest(nil, request)); err != nil {
		t.Fatal(err)
	}
	var got []string
	in := wsproto.NewAssembler(wsproto.RoleClient, wsproto.Limits{})
	buf := make([]byte, 4096)
	head := true
	for len(got) == 0 || got[len(got)-1] != "its own" {
		n, err := nc.Read(buf)
		if err != nil {
			t.Fatalf("got %q, then: %v", got, err)
		}
		rest := buf[:n]
		if head {
			_, size, err := wsproto.ParseResponse(rest, request.Key)
			if err != nil {
				t.Fatal(err)
			}
			rest, head = rest[size:], false
			text := wsproto.Header{Fin: true, Opcode: wsproto.OpText, Masked: true}
			if _, err := nc.Write(wsproto.AppendFrame(nil, text, []byte("its own"))); err != nil {
				t.Fatal(err)
			}
		}
		for len(rest) > 0 {
			var ev wsproto.Event
			if ev, rest, err = in.Next(rest); err != nil {
				t.Fatal(err)
			}
			if ev.Opcode == wsproto.OpText {
				got = append(got, string(ev.Payload))
			}
		}
	}
	if len(got) != 2 {
		t.Errorf("it got %q, and not what was said meanwhile", got)
	}
}
