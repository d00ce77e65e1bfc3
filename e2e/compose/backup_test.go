//go:build linux

package compose_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// checkBackup runs the commands that docs/durability.md gives for a backup of a running deployment, and those that put it back.
func (d *deployment) checkBackup() {
	d.t.Helper()
	backup, restore := d.recipe("nightly backup"), d.recipe("put the backup back")
	before := d.history()
	d.shell(backup)
	lost := d.dial()
	d.say(lost, "バックアップのあと", lost)
	d.shell(restore)
	d.waitHealthy()
	after := d.history()
	if after.Epoch == before.Epoch {
		d.t.Error("the epoch is the old one, so a page would take the new positions for the old ones")
	}
	if len(before.Messages) == 0 || !slices.Equal(texts(after.Messages), texts(before.Messages)) {
		d.t.Errorf("put back: %+v, want the texts of %+v", after.Messages, before.Messages)
	}
	again := d.dial()
	d.say(again, "戻った", again)
}

func texts(messages []message) (all []string) {
	for _, m := range messages {
		all = append(all, m.Text)
	}
	return all
}

// recipe is the block of shell commands in docs/durability.md whose first line is this comment.
func (d *deployment) recipe(title string) string {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.project, "docs", "durability.md"))
	if err != nil {
		d.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "```sh\n# "+title+"\n")
	commands, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		d.t.Fatalf("docs/durability.md has no block that begins with the comment %q", title)
	}
	return commands
}

// shell runs lines of a document in the project's folder, with this deployment's compose.
func (d *deployment) shell(lines string) {
	d.t.Helper()
	compose := strings.Join(append(d.command[:len(d.command):len(d.command)], "-p", d.name), " ")
	cmd := exec.Command("sh", "-euc", strings.ReplaceAll(lines, "docker compose", compose))
	cmd.Dir = d.project
	cmd.Env = append(os.Environ(), "DOYASA_PORT="+d.port)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v\n%s", lines, err, out)
	}
}
