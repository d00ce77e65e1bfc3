package hub_test

import (
	"bufio"
	"context"
	"fmt"
	"net"

	"github.com/doyasa/doyasa/hub"
)

// lines decides how a message looks on the wire: here a line of text.
var lines = &hub.Form{Message: func(dst []byte, m *hub.Message) []byte {
	return append(append(dst, m.Payload...), '\n')
}}

// wake is the least an Owner can be: whoever waits on it writes what is due.
type wake chan struct{}

func (w wake) Notify(hub.Notice) { w.Wake() }
func (w wake) Wake() {
	select {
	case w <- struct{}{}:
	default: // one waiting wake-up is enough
	}
}

// One message said in a room reaches two connections.
func Example() {
	h := hub.New(hub.Options{})
	var clients []net.Conn
	for range 2 {
		near, far := net.Pipe()
		clients = append(clients, far)
		due := make(wake, 1)
		member, _ := h.Join("doyasa", lines, hub.Author{}, due)
		go func() {
			for range due { // the first one says that we have joined
				member.WriteTo(near)
			}
		}()
		defer close(due)
	}
	defer h.Close()
	h.Publish(context.Background(), "doyasa", &hub.Message{Payload: []byte("どやさ")})
	for _, c := range clients {
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Print(line)
	}
	// Output:
	// どやさ
	// どやさ
}
