// Package readme_test does what the READMEs tell the reader to do.
package readme_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/e2e/doyasa"
	"github.com/doyasa/doyasa/e2e/wire"
)

func TestMain(m *testing.M) { doyasa.Main(m) }

// languages are the READMEs, which say the same.
var languages = []string{"README.md", "README.ja.md"}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	fenced  = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
	heading = regexp.MustCompile(`(?m)^#+ `)
	picture = regexp.MustCompile(`!\[[^\]]+\]\([^)]+\)|<img [^>]*>`)
	target  = regexp.MustCompile(`(?:\]\(|src=")([^)#:"]+)[)"]`)
)

// block returns the only block of code in a language that contains part.
func block(t *testing.T, text, language, part string) string {
	t.Helper()
	var found []string
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		if m[1] == language && strings.Contains(m[2], part) {
			found = append(found, m[2])
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d %s blocks with %q, want 1", len(found), language, part)
	}
	return found[0]
}

func TestSameInBothLanguages(t *testing.T) {
	var code, sections, pictures [2][]string
	for i, name := range languages {
		text := read(t, name)
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			code[i] = append(code[i], m[2])
		}
		sections[i] = heading.FindAllString(fenced.ReplaceAllString(text, ""), -1)
		for _, m := range picture.FindAllString(text, -1) {
			pictures[i] = append(pictures[i], target.FindStringSubmatch(m)[1])
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
				t.Errorf("%s links to nothing: %v", name, err)
			}
		}
	}
	if !slices.Equal(code[0], code[1]) {
		t.Errorf("the code differs:\n%q\n%q", code[0], code[1])
	}
	if !slices.Equal(sections[0], sections[1]) {
		t.Errorf("the sections differ: %q and %q", sections[0], sections[1])
	}
	if len(pictures[0]) == 0 || !slices.Equal(pictures[0], pictures[1]) {
		t.Errorf("the pictures differ, or there are none: %q and %q", pictures[0], pictures[1])
	}
}

// TestShell runs the lines for the shell, with the port of the server under test.
func TestShell(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		doyasa.Skip(t, "curl is not installed")
	}
	s := doyasa.Start(t)
	lines := strings.ReplaceAll(block(t, read(t, "README.md"), "sh", "curl"), "localhost:3000", s.Addr)
	out, err := exec.CommandContext(t.Context(), "sh", "-e", "-c", lines).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", lines, err, out)
	}
	said, page, _ := strings.Cut(string(out), "\n")
	var message struct {
		Seq  int
		Text string
	}
	var history struct{ Messages []struct{ Text string } }
	if err := json.Unmarshal([]byte(said), &message); err != nil || message.Seq != 1 || message.Text != "どやさ" {
		t.Errorf("the first line answered %s, want the message: %v", said, err)
	}
	if err := json.Unmarshal([]byte(page), &history); err != nil || len(history.Messages) != 1 || history.Messages[0].Text != "どやさ" {
		t.Errorf("the second line answered %s, want a page with the message: %v", page, err)
	}
}

// TestOwnPage makes the page of one's own and has it served.
func TestOwnPage(t *testing.T) {
	lines := block(t, read(t, "README.md"), "sh", "mkdir public")
	making, serving, ok := strings.Cut(lines, "go run ./cmd/doyasa serve ")
	if !ok {
		t.Fatalf("no line that serves in %q", lines)
	}
	folder := t.TempDir()
	sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", making)
	sh.Dir = folder
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", making, err, out)
	}
	flags := strings.Fields(serving)
	if last := len(flags) - 1; flags[last] != "./public" {
		t.Fatalf("serves %q, want ./public", flags[last])
	} else {
		flags[last] = filepath.Join(folder, "public")
	}
	s := doyasa.Start(t, flags...)
	response, err := http.Get("http://" + s.Addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(page), `<button onclick="s.send('どやさ')">`) {
		t.Errorf("%s %q, %v; want the page just made", response.Status, page, err)
	}
}

// TestCommands runs the command lines that end by themselves.
func TestCommands(t *testing.T) {
	ran := 0
	for line := range strings.Lines(block(t, read(t, "README.md"), "sh", "config check")) {
		if !strings.Contains(line, "config") {
			continue // serves; TestOwnPage and all others do that
		}
		ran++
		sh := exec.CommandContext(t.Context(), "sh", "-e", "-c", line)
		sh.Dir = filepath.Join("..", "..")
		out, err := sh.CombinedOutput()
		want := "ok (config.yaml)"
		if strings.Contains(line, "--limits-burst 50") {
			want = "burst: 50  # --limits-burst"
		}
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s\nwant %q in it", line, err, out, want)
		}
	}
	if ran != 2 {
		t.Errorf("%d lines ran, want 2", ran)
	}
}

// TestBench runs the line that loads the server.
func TestBench(t *testing.T) {
	doyasa.Long(t)
	line := strings.TrimSpace(block(t, read(t, "README.md"), "sh", "doyasa bench"))
	args, ok := strings.CutPrefix(line, "go run ./cmd/doyasa ")
	if !ok {
		t.Fatalf("%q does not run the command", line)
	}
	s := doyasa.Start(t)
	out, err := doyasa.Command(t, append(strings.Fields(args), "--url", "ws://"+s.Addr+"/websocket")...).CombinedOutput()
	for _, want := range []string{"connected ", "delivered      125,000, 25,000 a second", "last receiver ", "promises       kept"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s\nwant %q in it", line, err, out, want)
		}
	}
}

// TestBot runs the bot. It must answer what is asked, and neither itself nor what was
// said before it came.
func TestBot(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, for which python3-websockets is packaged
	if err := exec.Command(python, "-c", "import websockets").Run(); err != nil {
		doyasa.Skip(t, "python3-websockets is not installed")
	}
	s := doyasa.Start(t)
	script := block(t, read(t, "README.md"), "python", "websockets")
	if n := strings.Count(script, "\n"); n != 10 {
		t.Errorf("the bot has %d lines, want 10", n)
	}
	script = strings.ReplaceAll(script, "localhost:3000", s.Addr)
	script = strings.ReplaceAll(script, `"どやさ!"`, `"どやさ?"`) // it would answer itself now

	asker, err := wire.Dial(s.Addr, "/websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()
	say := func(text string) {
		t.Helper()
		if err := asker.Send(wire.Text, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		f, err := asker.ReadFrame()
		if err != nil || string(f.Payload) != want {
			t.Fatalf("heard %v, %v; want %q", f, err, want)
		}
	}
	say("old?")
	hear("old?")

	bot := exec.CommandContext(t.Context(), python, "-c", script)
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	defer bot.Wait()
	defer bot.Process.Kill()
	joined(t, s, "bot")

	say("how are you?")
	hear("how are you?")
	hear("どやさ?")
	say("I see")
	hear("I see")
	say("and you?")
	hear("and you?")
	hear("どやさ?")
}

// joined waits until somebody of that name is in the room.
func joined(t *testing.T, s *doyasa.Server, name string) {
	t.Helper()
	watcher, err := wire.Dial(s.Addr, "/websocket?history=0", "Sec-WebSocket-Protocol: doyasa.v1")
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	for {
		f, err := watcher.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		var seen struct {
			Joined []string
			People json.RawMessage
		}
		if err := json.Unmarshal(f.Payload, &seen); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(seen.Joined, name) || strings.Contains(string(seen.People), `"`+name+`"`) {
			return
		}
	}
}
