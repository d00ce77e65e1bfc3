package config

import (
	"bufio"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const shipped = "../../config.yaml"

// TestShippedFile holds config.yaml equal to Default and to the table of keys: every key once, in order, with its help as comment.
func TestShippedFile(t *testing.T) {
	l, err := Load(Sources{File: shipped})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(l.Config, Default()) {
		t.Errorf("%s reads as\n%+v, want\n%+v", shipped, l.Config, Default())
	}
	b, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		if line := s.Text(); strings.Contains(line, ":") && !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, ":") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) != len(keys) {
		t.Fatalf("%s has %d keys, want %d", shipped, len(lines), len(keys))
	}
	for i, k := range keys {
		_, name := k.section()
		if !strings.HasPrefix(lines[i], name+": ") || !strings.HasSuffix(lines[i], " # "+k.Help) {
			t.Errorf("key %d of %s is\n%s\nwant %s with the comment\n%s", i+1, shipped, lines[i], k.Path, k.Help)
		}
		if l.From(k) == "" {
			t.Errorf("%s is not read from %s", k.Path, shipped)
		}
	}
}

func TestDefaultIsCanonical(t *testing.T) {
	c := Default()
	for _, k := range keys {
		text := k.value(&c).text()
		if err := k.set(&c, text); err != nil {
			t.Errorf("%s: the default %q is refused: %v", k.Path, text, err)
		}
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("defaults set from their own text are\n%+v, want\n%+v", c, Default())
	}
	if errs := (&Loaded{Config: c}).check(); errs != nil {
		t.Errorf("the defaults clash: %v", errs)
	}
}

// TestEveryFieldHasOneKey sets each key to something else and looks for the one field that changed.
func TestEveryFieldHasOneKey(t *testing.T) {
	other := map[string]string{"text": "x", "list": "https://x", "integer": "77", "size": "77KiB", "duration": "77ms"}
	special := map[string]string{"listen": ":77", "ops_listen": ":78", "public_url": "https://x", "log.level": "warn", "log.format": "json", "history.store": "embedded", "trusted_proxies": "10.0.0.0/8"}
	fields := map[string]bool{}
	for _, k := range keys {
		text, ok := special[k.Path]
		if !ok {
			text = other[k.Kind()]
		}
		c := Default()
		if err := k.set(&c, text); err != nil {
			t.Errorf("%s = %q: %v", k.Path, text, err)
		}
		changed := diff("", reflect.ValueOf(Default()), reflect.ValueOf(c))
		if len(changed) != 1 || fields[changed[0]] {
			t.Errorf("%s = %q changes %v, want one field of its own", k.Path, text, changed)
			continue
		}
		fields[changed[0]] = true
		want := strings.ToLower(strings.NewReplacer(".", "", "_", "").Replace(k.Path))
		if got := strings.ToLower(strings.ReplaceAll(changed[0], ".", "")); got != want {
			t.Errorf("%s sets the field %s", k.Path, changed[0])
		}
	}
	if n := leaves(reflect.TypeOf(Config{})); len(fields) != n {
		t.Errorf("keys set %d fields, Config has %d", len(fields), n)
	}
}

func diff(path string, a, b reflect.Value) (changed []string) {
	if a.Kind() == reflect.Struct {
		for i := range a.NumField() {
			changed = append(changed, diff(path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))...)
		}
	} else if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		changed = append(changed, strings.TrimPrefix(path, "."))
	}
	return changed
}

func leaves(t reflect.Type) (n int) {
	if t.Kind() != reflect.Struct {
		return 1
	}
	for i := range t.NumField() {
		n += leaves(t.Field(i).Type)
	}
	return n
}

// load reads one file text together with environment and flags.
func load(t *testing.T, yaml string, env []string, flags map[string]string) (*Loaded, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(Sources{File: file, Environ: env, Flags: flags})
	if err != nil { // only the name, so that tables stay short
		err = plainError(strings.ReplaceAll(err.Error(), file, "c.yaml"))
	} else if l.File != file {
		t.Errorf("File = %q, want %q", l.File, file)
	}
	return l, err
}

type plainError string

func (e plainError) Error() string { return string(e) }

func TestPrecedence(t *testing.T) {
	const yaml = "limits:\n  burst: 2\n"
	env := []string{"DOYASA_LIMITS_BURST=3", "DOYASA_LIMITS_BURST=4", "OTHER=1"}
	for _, row := range []struct {
		yaml  string
		env   []string
		flags map[string]string
		want  int
		from  string
	}{
		{"", nil, nil, 20, ""},
		{yaml, nil, nil, 2, "c.yaml:2"},
		{yaml, env, nil, 4, "DOYASA_LIMITS_BURST"},
		{yaml, []string{"DOYASA_LIMITS_BURST="}, nil, 2, "c.yaml:2"},
		{yaml, env, map[string]string{"limits.burst": "5"}, 5, "--limits-burst"},
		{"", nil, map[string]string{"limits.burst": "5"}, 5, "--limits-burst"},
	} {
		l, err := load(t, row.yaml, row.env, row.flags)
		if err != nil {
			t.Fatal(err)
		}
		k, _ := findKey("limits.burst")
		if from := l.From(k); l.Limits.Burst != row.want || !strings.HasSuffix(from, row.from) || (from == "") != (row.from == "") {
			t.Errorf("file %q, env %v, flags %v: burst = %d from %q, want %d from %q", row.yaml, row.env, row.flags, l.Limits.Burst, from, row.want, row.from)
		}
	}
}

// The address that docker-compose.yml publishes is passed on if it names one port, and is not a setting: nothing is said about it.
func TestPublished(t *testing.T) {
	for in, want := range map[string]string{
		"3000": ":3000", "8080": ":8080", "127.0.0.1:8080": "127.0.0.1:8080", "[::1]:8080": "[::1]:8080", "0.0.0.0:80": "0.0.0.0:80",
		"": "", "0": "", "127.0.0.1:0": "", "8000-8010": "", "127.0.0.1::": "", "tcp://10.0.0.1:3000": "", "8080/tcp": "", "x": "",
	} {
		l, err := load(t, "rooms: {max: 3}\n", []string{"DOYASA_PUBLISHED=" + in}, nil)
		if err != nil || l.Published != want || len(l.Notices) != 0 {
			t.Errorf("DOYASA_PUBLISHED=%s: %q, %v with notices %q, want %q and no notice", in, l.Published, err, l.Notices, want)
		}
	}
}

// TestUnsetByFlag shows that an empty flag clears what a file set, which an empty variable does not.
func TestUnsetByFlag(t *testing.T) {
	const yaml = "public_url: https://a\nallowed_origins: [https://b]\n"
	l, err := load(t, yaml, []string{"DOYASA_PUBLIC_URL="}, nil)
	if err != nil || l.PublicURL != "https://a" {
		t.Errorf("empty variable: public_url = %q, %v; want that of the file", l.PublicURL, err)
	}
	l, err = load(t, yaml, nil, map[string]string{"public_url": "", "allowed_origins": ""})
	if err != nil || l.PublicURL != "" || len(l.AllowedOrigins) != 0 {
		t.Errorf("empty flags: %q, %q, %v; want both empty", l.PublicURL, l.AllowedOrigins, err)
	}
}

func TestPrintReadsBack(t *testing.T) {
	dir := t.TempDir()
	l, err := load(t, "listen: 127.0.0.1:80\nrooms: {default: \"どやさ\"}\n", []string{"DOYASA_HISTORY_MAX_AGE=90m", "DOYASA_ALLOWED_ORIGINS=https://B:443, null"},
		map[string]string{"static_dir": dir, "limits.message_bytes": "3MiB", "history.bytes": "1000KiB"})
	if err != nil {
		t.Fatal(err)
	}
	text := l.YAML()
	for _, want := range []string{
		"c.yaml:1\n", "c.yaml:2\n", "\n  max_age: 1h30m0s  # DOYASA_HISTORY_MAX_AGE\n",
		"\nallowed_origins: [\"https://b\", \"null\"]  # DOYASA_ALLOWED_ORIGINS\n",
		"\n  message_bytes: 3MiB  # --limits-message-bytes\n", "\n  bytes: 1024000  # --history-bytes\n", "\n  burst: 20\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("config print lacks %q:\n%s", want, text)
		}
	}
	again, err := load(t, text, nil, nil)
	if err != nil {
		t.Fatalf("config print does not read back: %v\n%s", err, text)
	}
	if !reflect.DeepEqual(again.Config, l.Config) {
		t.Errorf("config print reads back as\n%+v, want\n%+v", again.Config, l.Config)
	}
}

// A setting that is gone is accepted with a notice as long as it changes nothing.
func TestSyncIsGone(t *testing.T) {
	file := t.TempDir() + "/c.yaml"
	if err := os.WriteFile(file, []byte("history:\n  sync: always\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(Sources{File: file, Environ: []string{"DOYASA_HISTORY_SYNC=always"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Notices) != 2 || !strings.Contains(l.Notices[0], file+":2: history.sync has no effect") || !strings.Contains(l.Notices[1], "DOYASA_HISTORY_SYNC: history.sync has no effect") {
		t.Errorf("notices %q", l.Notices)
	}
	if strings.Contains(l.YAML(), "sync") {
		t.Error("config print shows it")
	}
}
