package journal

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// tracedCalls are the system calls that change a file system, and those that are needed to know which file they change.
const tracedCalls = "openat,open,creat,pwrite64,write,fdatasync,fsync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,close,fallocate"

// A call is one system call of a trace.
type call struct {
	name       string
	args       []string // texts are unquoted
	result     int      // -1: it failed
	began      int      // the line on which it began
	ended      int      // the line on which it returned
	unfinished string   // its text so far
}

// number returns an argument that is a number.
func (c *call) number(t testing.TB, i int) int {
	n, err := strconv.Atoi(c.args[i])
	if err != nil {
		t.Fatalf("line %d of the trace: %s: %v", c.began, c.name, err)
	}
	return n
}

// readTrace reads what strace has written, and calls began and ended with each call as it begins and as it returns. Those that have not
// returned are in open. Lines are counted from after on.
func readTrace(t testing.TB, name string, after int, began, ended func(*call)) (open []*call, lines int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	under := make(map[string]*call) // by thread
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 64<<20)
	n := after
	for scanner.Scan() {
		n++
		thread, text, _ := strings.Cut(scanner.Text(), " ")
		text = strings.TrimLeft(text, " ")
		if strings.HasPrefix(text, "+++") || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "???") {
			continue
		}
		if rest, ok := strings.CutPrefix(text, "<... "); ok {
			c := under[thread]
			_, rest, found := strings.Cut(rest, " resumed>")
			if c == nil || !found {
				t.Fatalf("line %d of the trace: %q", n, text)
			}
			if strings.HasSuffix(rest, " = ?") { // the process was killed
				continue
			}
			delete(under, thread)
			c.finish(t, n, c.unfinished+rest)
			ended(c)
			continue
		}
		c := &call{began: n}
		before, ok := strings.CutSuffix(text, "<unfinished ...>")
		if !ok && strings.HasSuffix(text, " = ?") {
			before, ok = strings.TrimRight(strings.TrimSuffix(text, " = ?"), " )"), true
		}
		if ok {
			c.unfinished = before
			c.parse(t, before)
			under[thread] = c
			began(c)
			continue
		}
		c.finish(t, n, text)
		began(c)
		ended(c)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range under {
		open = append(open, c)
	}
	return open, n
}

// finish takes in the whole text of a call: `pwrite64(5, "\x68", 1, 0) = 1`.
func (c *call) finish(t testing.TB, line int, text string) {
	i := strings.LastIndex(text, " = ")
	if i < 0 {
		t.Fatalf("line %d of the trace: no result: %.200q", line, text)
	}
	c.parse(t, strings.TrimSuffix(strings.TrimRight(text[:i], " "), ")"))
	c.ended = line
	result, _, _ := strings.Cut(text[i+3:], " ")
	var err error
	if c.result, err = strconv.Atoi(result); err != nil {
		t.Fatalf("line %d of the trace: %v: %.200q", line, err, text)
	}
}

// parse takes in the name and the arguments. Texts are all hexadecimal, so that a comma separates arguments wherever it stands.
func (c *call) parse(t testing.TB, text string) {
	name, args, ok := strings.Cut(text, "(")
	if !ok {
		t.Fatalf("line %d of the trace: %.200q", c.began, text)
	}
	c.name, c.args = name, nil
	for arg := range strings.SplitSeq(args, ", ") {
		arg = strings.TrimRight(arg, " )")
		if arg == "" {
			continue
		}
		if arg[0] == '"' {
			unquoted, err := unhex(arg)
			if err != nil {
				t.Fatalf("line %d of the trace: %v", c.began, err)
			}
			arg = unquoted
		}
		c.args = append(c.args, arg)
	}
}

// unhex returns the text of `"\x68\x69"`.
func unhex(quoted string) (string, error) {
	digits, ok := strings.CutSuffix(quoted[1:], `"`)
	if !ok || len(digits)%4 != 0 {
		return "", fmt.Errorf("not a whole text: %.100s", quoted)
	}
	b := make([]byte, 0, len(digits)/4)
	for ; digits != ""; digits = digits[4:] {
		v, err := strconv.ParseUint(digits[2:4], 16, 8)
		if err != nil || digits[:2] != `\x` {
			return "", fmt.Errorf("not hexadecimal: %.100s", digits)
		}
		b = append(b, byte(v))
	}
	return string(b), nil
}
