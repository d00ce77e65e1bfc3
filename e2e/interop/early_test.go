package interop_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/wire"
)

// TestEarlyFrames: what a client sends before it has read the 101 is not lost, wherever the stream is cut and however much it is.
func TestEarlyFrames(t *testing.T) {
	s := start(t)
	large := strings.Repeat("*", 20_000) // more than net/http reads ahead
	messages := []string{"どやさ", "", large, "last"}
	var frames []byte
	for _, m := range messages {
		frames = wire.Append(frames, wire.Fin|wire.Text, []byte(m))
	}
	// early sends the writes, with a pause between them, and only then looks for an answer.
	early := func(t *testing.T, room string, pause time.Duration, writes ...[]byte) {
		t.Helper()
		conn, err := wire.Connect(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for i, b := range writes {
			if i > 0 && pause > 0 {
				<-time.After(pause) // the input is about time
			}
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.Accepted(); err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if f, err := conn.ReadFrame(); err != nil || f.First != wire.Fin|wire.Text || string(f.Payload) != m {
				t.Fatalf("room %s: %v, %v; want the echo of %.40q", room, f, err, m)
			}
		}
	}
	request := func(room string) []byte { return wire.Request(s.Addr, "/websocket?room="+room) }

	t.Run("in one segment with the request", func(t *testing.T) {
		for i := range 50 {
			room := fmt.Sprintf("one%d", i)
			early(t, room, 0, bytes.Join([][]byte{request(room), frames}, nil))
		}
	})
	t.Run("10 ms after the request", func(t *testing.T) {
		for i := range 20 {
			room := fmt.Sprintf("ten%d", i)
			early(t, room, 10*time.Millisecond, request(room), frames)
		}
	})
	t.Run("right after the request", func(t *testing.T) {
		for i := range 200 {
			room := fmt.Sprintf("right%d", i)
			early(t, room, time.Duration(i)*time.Microsecond, request(room), frames)
		}
	})
	t.Run("cut anywhere", func(t *testing.T) {
		whole := func(room string) []byte { return append(request(room), frames...) }
		begin, end := len(request("cut000"))-6, len(whole("cut000"))
		for at := begin; at < end; at++ {
			if at > begin+60 && at < end-40 && at%997 != 0 {
				continue // inside the large message, a few places suffice
			}
			room := fmt.Sprintf("cut%03d", at%1000)
			b := whole(room)
			early(t, room, 0, b[:at], b[at:])
		}
	})
}
