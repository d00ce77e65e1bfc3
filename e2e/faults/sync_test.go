//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

// A message is shown to nobody before it is synced, and the messages that wait meanwhile share the next sync. Seen from outside, by
// strace: each write of messages to the store is followed by a sync before any of them goes out to a socket.
func TestSync(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		doyasa.Skip(t, "no strace here")
	}
	dir := t.TempDir()
	server := doyasa.Start(t, "--history-store", "embedded", "--history-dir", dir, "--limits-messages-per-second", "0")
	conn, err := wire.Dial(server.Addr, "/websocket?room=r&history=0", "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	trace := filepath.Join(t.TempDir(), "trace")
	strace := exec.Command("strace", "-f", "-y", "-s", "1000000", "-e", "trace=fdatasync,pwrite64,write,writev,sendto,sendmsg", "-o", trace,
		"-p", fmt.Sprint(server.PID()))
	var said bytes.Buffer
	strace.Stderr = &said
	if err := strace.Start(); err != nil {
		t.Fatal(err)
	}
	attached := func() error {
		b, err := os.ReadFile(trace)
		if err != nil || len(b) == 0 {
			conn.Send(wire.Ping, nil) // its pong is a write
			return fmt.Errorf("strace shows nothing yet: %v", err)
		}
		return nil
	}
	defer func() {
		strace.Process.Signal(syscall.SIGINT)
		strace.Wait()
	}()
	deadline := time.Now().Add(20 * time.Second)
	for attached() != nil {
		if time.Now().After(deadline) {
			doyasa.Skip(t, "strace may not attach here: "+said.String())
		}
		time.Sleep(20 * time.Millisecond)
	}

	const single, burst = 5, 500
	id := func(n int) string { return fmt.Sprintf("01a218ab-6aeb-7e56-ae01-%012d", n) }
	say := func(n int) []byte {
		return wire.Append(nil, wire.Fin|wire.Text, fmt.Appendf(nil, `{"type":"say","id":"%s","text":"どやさ"}`, id(n)))
	}
	seen := make(map[string]bool)
	read := func(until int) {
		for len(seen) < until {
			f, err := conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if at := bytes.Index(f.Payload, []byte(`"id":"01a218ab`)); bytes.HasPrefix(f.Payload, []byte(`{"type":"message"`)) {
				seen[string(f.Payload[at+6:at+42])] = true
			}
		}
	}
	for n := range single {
		conn.Write(say(n))
		read(n + 1)
	}
	var many []byte
	for n := range burst {
		many = append(many, say(single+n)...)
	}
	conn.Write(many)
	read(single + burst)
	strace.Process.Signal(syscall.SIGINT)
	strace.Wait()

	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	// Messages that were written to the store, synced and shown so far, and how often that was.
	stored, synced, shown, syncs, shows := 0, 0, 0, 0, 0
	within := make(map[string]int) // threads within an fsync, and what was written when it began
	for l := range strings.Lines(string(b)) {
		thread, call, _ := strings.Cut(l, " ")
		call = strings.TrimSpace(call)
		store := strings.Contains(call, ".seg>")
		messages := strings.Count(call, `\"type\":\"message\"`)
		switch {
		case store && strings.HasPrefix(call, "pwrite64"):
			stored += strings.Count(call, `\343\201\251\343\202\204\343\201\225`) // どやさ
		case store && strings.HasPrefix(call, "fdatasync"):
			syncs++
			if strings.Contains(call, "unfinished") {
				within[thread] = stored
				continue
			}
			synced = stored
		case strings.Contains(call, "fdatasync resumed"):
			synced = max(synced, within[thread])
			delete(within, thread)
		case messages > 0:
			shows++
			if shown += messages; shown > synced {
				t.Errorf("%d messages shown, %d synced", shown, synced)
			}
		}
	}
	t.Logf("%d messages shown, %d stored, %d syncs, %d writes of messages to the socket", shown, stored, syncs, shows)
	if syncs < single || syncs > single+burst/4 {
		t.Errorf("%d syncs for %d messages one by one and %d at once, want one for each of the former and few for the others", syncs, single, burst)
	}
	if stored != single+burst || shown != single+burst {
		t.Errorf("%d messages written to the store and %d to the socket: strace shows something else than expected", stored, shown)
	}
}

// A new store is on the disk before anything is said, with the folders that were made for it: without them it would come back empty and
// under another epoch, and everybody would begin afresh.
func TestSyncOfNewStore(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		doyasa.Skip(t, "no strace here")
	}
	base := t.TempDir()
	dir, trace := filepath.Join(base, "new", "data"), filepath.Join(t.TempDir(), "trace")
	plain := doyasa.Command(t, "import", "--history-dir", dir) // opens the store, and nothing more
	traced := exec.CommandContext(t.Context(), "strace", append([]string{"-f", "-y", "-e", "trace=fsync,fdatasync", "-o", trace}, plain.Args...)...)
	traced.Dir = plain.Dir
	out, err := traced.CombinedOutput()
	b, _ := os.ReadFile(trace)
	if err != nil && len(b) == 0 {
		doyasa.Skip(t, "strace may not run here: "+string(out))
	} else if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{base, filepath.Join(base, "new"), dir, filepath.Join(dir, "0000000000000001.seg")} {
		if want := "<" + name + ">"; !strings.Contains(string(b), want) {
			t.Errorf("no sync of %s", want)
		}
	}
}
