package hub_test

import (
	"context"
	"io"
	"net"
	"os"

	"github.com/doyasa/doyasa/hub"
)

// One message said in a room reaches two connections.
func Example() {
	lines := &hub.Form{Message: func(dst []byte, m *hub.Message) []byte {
		return append(append(dst, m.Payload...), '\n')
	}}
	h := hub.New(hub.Options{})
	defer h.Close()
	var clients []net.Conn
	for range 2 {
		near, far := net.Pipe()
		clients = append(clients, far)
		member, err := h.Join("doyasa", lines, hub.Author{}, nil)
		if err != nil {
			panic(err)
		}
		defer member.Leave()
		go member.Serve(context.Background(), near)
	}
	h.Publish(context.Background(), "doyasa", &hub.Message{Payload: []byte("どやさ")})
	for _, c := range clients {
		io.CopyN(os.Stdout, c, int64(len("どやさ\n")))
	}
	// Output:
	// どやさ
	// どやさ
}
