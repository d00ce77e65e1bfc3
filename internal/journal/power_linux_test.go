package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doyasa/doyasa/hub"
)

// The store that is recorded: so small that segments are rewritten and merged all the time.
var (
	powerRooms  = []string{"a", "部屋", powerPlain}
	powerLimits = hub.Limits{Messages: 12}
)

const (
	powerPlain   = "plain" // a room in which messages have no ids
	powerSegment = 8 << 10
	powerAfter   = 1 << 20 // numbers of messages that are said after a crash
)

// powerMessage is the message of a number: most of them small, some longer than a sector, and few longer than a page.
func powerMessage(room string, n int) *hub.Message {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	size := rng.IntN(200)
	switch rng.IntN(40) {
	case 0:
		size += 6000
	case 1, 2, 3, 4:
		size += 900
	}
	m := message(room, n)
	m.Payload = append(m.Payload, bytes.Repeat([]byte{'a' + byte(n%26)}, size)...)
	if room == powerPlain {
		m.ID, m.Idempotent = hub.ID{}, false
	}
	return m
}

// powerNumber returns the number of a message, and powerIDNumber that of its id.
func powerNumber(m *hub.Message) int {
	fields := strings.Fields(string(m.Payload))
	n, _ := strconv.Atoi(fields[min(1, len(fields)-1)])
	return n
}

func powerIDNumber(id hub.ID) int { return int(id[1])<<16 | int(id[2])<<8 | int(id[3]) }

// A life is one run of the recorded process.
type life struct {
	messages int
	troubles bool   // short writes and no descriptors
	inject   string // a fault that strace provokes; its counts are those of each thread
	end      string // how it ends: "" in order, "kill" at its last message, "injected" by a fault
	cut      bool   // it is followed by a power cut
}

// Recordings are folders in which one process lives after the other.
var recordings = map[string][]life{
	"long": {
		{messages: 150},
		{messages: 5000, inject: "fsync:signal=SIGKILL:when=5", end: "injected"},
		{messages: 300, troubles: true},
		{messages: 5000, inject: "fdatasync:signal=SIGKILL:when=25", end: "injected", cut: true},
		{messages: 120, inject: "fdatasync:error=EIO:when=4+9", end: "kill"},
		{messages: 5000, inject: "renameat:signal=SIGKILL:when=1", end: "injected"},
		{messages: 5000, inject: "unlinkat:signal=SIGKILL:when=1", end: "injected", cut: true},
		{messages: 200, inject: "fsync:error=EIO:when=3+3", end: "kill", cut: true},
		{messages: 60},
	},
	"early": {
		{messages: 5000, inject: "fdatasync:signal=SIGKILL:when=1", end: "injected", cut: true},
		{messages: 5000, inject: "fsync:signal=SIGKILL:when=1", end: "injected"},
		{messages: 5000, inject: "fsync:signal=SIGKILL:when=2", end: "injected", cut: true},
		{messages: 5000, inject: "fsync:signal=SIGKILL:when=3", end: "injected"},
		{messages: 5000, inject: "fsync:signal=SIGKILL:when=5", end: "injected"},
		{messages: 5000, inject: "fsync:signal=SIGKILL:when=7", end: "injected", cut: true},
		{messages: 30, end: "kill"},
		{messages: 5000, inject: "ftruncate:signal=SIGKILL:when=1", end: "injected", cut: true},
		{messages: 60, end: "kill"},
		{messages: 10},
	},
}

// isSample: only some of the states are opened, unless DOYASA_POWER is set, as in make test-faults.
var isSample = os.Getenv("DOYASA_POWER") == ""

// TestPower records what the process does to its files, builds what a power cut may leave at each point of that, and opens it. This
// test runs itself again as the process that is recorded.
func TestPower(t *testing.T) {
	if dir := os.Getenv("JOURNAL_POWER"); dir != "" {
		live(t, dir)
		return
	}
	if err := exec.Command("strace", "-o", os.DevNull, "true").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("strace does not work: %v", err)
		}
		t.Skipf("strace does not work: %v", err)
	}
	base := memoryFolder(t)
	c := newCheckers(t, base, runtime.GOMAXPROCS(0))
	s := &states{checkers: c, rng: rand.New(rand.NewPCG(13, 13)), counts: make(map[string]int)}
	for _, name := range slices.Sorted(maps.Keys(recordings)) {
		r := &recording{t: t, states: s, name: name, disk: newDisk(filepath.Join(base, name, "store"))}
		if err := os.Mkdir(filepath.Join(base, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for i, l := range recordings[name] {
			r.run(i, l)
		}
	}
	close(c.crashes)
	c.running.Wait()
	for _, phase := range slices.Sorted(maps.Keys(s.counts)) {
		t.Logf("%7d %s", s.counts[phase], phase)
	}
	if s.counts["power cuts"] < 10_000 && !isSample {
		t.Errorf("%d states, want 10000", s.counts["power cuts"])
	}
}

// states are built and handed to the checkers.
type states struct {
	*checkers
	rng    *rand.Rand
	counts map[string]int
}

// give hands a state on; of a short test only some.
func (s *states) give(kind string, phases []string, c crashed) {
	if isSample && s.rng.IntN(shortStates) > 0 {
		return
	}
	s.counts[kind]++
	for _, phase := range phases {
		s.counts[kind+": "+phase]++
	}
	c.what = kind + ", " + c.what
	s.pending.Add(1)
	s.crashes <- c
}

// A short test takes one of so many points, and one of so many states there.
const (
	shortPoints = 10
	shortStates = 4
)

// A recording follows what the lives in one folder do.
type recording struct {
	*states
	t    *testing.T
	name string
	disk *disk

	promise
	refusals   []refusal // of this life
	life       int
	lines      int  // of the traces so far
	hasChanged bool // the disk has changed since states were last built
}

// A refusal is a message that was refused when so many had been acknowledged.
type refusal struct {
	messageKey
	acks int
}

// run records one life and builds the states of its points.
func (r *recording) run(i int, l life) {
	r.t.Helper()
	r.life, r.refusals = i, nil
	acks := len(r.acks)
	trace := filepath.Join(r.t.TempDir(), "trace")
	args := []string{"-f", "-e", "signal=none", "-xx", "-s", "10000000", "-o", trace, "-e", "trace=" + tracedCalls}
	if l.inject != "" {
		args = append(args, "-e", "inject="+l.inject)
	} else {
		args = append(args, "--seccomp-bpf") // faster, but then nothing is injected
	}
	c := exec.Command("strace", append(args, os.Args[0], "-test.run=^TestPower$")...)
	c.Env = append(os.Environ(), "JOURNAL_POWER="+r.disk.dir, "JOURNAL_POWER_LIFE="+fmt.Sprint(i, l.messages, l.troubles, l.end == "kill"), "GOMAXPROCS=1")
	r.pending.Wait() // a child that is being started holds the locks of all stores that are open here
	out, err := c.CombinedOutput()
	if (err == nil) != (l.end == "") {
		r.t.Fatalf("%s, life %d, %+v: %v\n%.2000s", r.name, i, l, err, out)
	}
	var open []*call
	open, r.lines = readTrace(r.t, trace, r.lines, r.began, r.ended)
	r.settle(open)
	if len(r.acks) == acks && l.end != "injected" {
		r.t.Fatalf("%s, life %d: nothing was acknowledged\n%s", r.name, i, out)
	}
	if (l.troubles || strings.Contains(l.inject, "error")) && len(r.refusals) == 0 {
		r.t.Errorf("%s, life %d: nothing was refused", r.name, i)
	}
	r.build(&call{name: "the end"})
	r.promise = r.promised()
	if l.cut {
		r.cut()
	}
}

// began and ended follow the calls of a life.
func (r *recording) began(c *call) {
	r.disk.began(r.t, c)
	if c.name != "write" || c.args[0] != "1" {
		return
	}
	for line := range strings.Lines(c.args[1]) {
		var k messageKey
		var a ack
		if n, _ := fmt.Sscanf(line, "ack %s %d %d %d", &a.room, &a.n, &a.seq, &a.prev); n == 4 {
			r.acks = append(r.acks, a)
		} else if n, _ := fmt.Sscanf(line, "refused %s %d", &k.room, &k.n); n == 2 {
			r.refusals = append(r.refusals, refusal{k, len(r.acks)})
		}
	}
}

func (r *recording) ended(c *call) {
	r.disk.ended(r.t, c, func() {
		r.build(c)
		r.hasChanged = true
	})
}

// settle finds out which of the calls that were under way when the process was killed have changed the folder. From then on the model
// is known to be right about what a kill leaves.
func (r *recording) settle(open []*call) {
	r.t.Helper()
	slices.SortFunc(open, func(a, b *call) int { return a.began - b.began })
	for !maps.EqualFunc(r.disk.files(), readFolder(r.t, r.disk.dir), bytes.Equal) {
		if len(open) == 0 {
			r.t.Fatalf("%s, life %d: the model has\n%s, the folder\n%s", r.name, r.life, listing(r.disk.files()), listing(readFolder(r.t, r.disk.dir)))
		}
		c := open[0]
		open = open[1:]
		if c.name == "pwrite64" {
			c.result = len(c.args[1])
		}
		r.disk.ended(r.t, c, func() {
			r.build(c)
			r.hasChanged = true
		})
	}
	clear(r.disk.open)
}

func readFolder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// promised is what the process has said so far. Of what it has refused nothing may be there once something else is acknowledged: the
// senders have gone on.
func (r *recording) promised() promise {
	p := promise{acks: slices.Clip(r.acks), refused: maps.Clone(r.refused)}
	for _, f := range r.refusals {
		if f.acks < len(r.acks) {
			if p.refused == nil {
				p.refused = make(map[messageKey]bool)
			}
			p.refused[f.messageKey] = true
		}
	}
	return p
}

// build builds the states of a point, if there is one: the disk has changed, and is about to change again. All that has been
// acknowledged by then must be in them.
func (r *recording) build(next *call) {
	if !r.hasChanged {
		return
	}
	r.hasChanged = false
	if isSample && r.rng.IntN(shortPoints) > 0 {
		return
	}
	c := crashed{what: fmt.Sprintf("%s, life %d, before %s on line %d", r.name, r.life, next.name, next.began), promise: r.promised()}
	phases := r.disk.phases()
	c.files = r.disk.files()
	r.give("kills", phases, c)
	r.disk.states(r.rng, 4, 64, func(files map[string][]byte) {
		c.files = files
		r.give("power cuts", phases, c)
	})
}

// cut is a power cut after a life: what it leaves, torn, is what the next life begins with.
func (r *recording) cut() {
	var all []map[string][]byte
	r.disk.states(r.rng, 8, 64, func(files map[string][]byte) { all = append(all, files) })
	files := all[r.rng.IntN(len(all))]
	if err := os.RemoveAll(r.disk.dir); err != nil {
		r.t.Fatal(err)
	}
	if err := lay(r.disk.dir, files); err != nil {
		r.t.Fatal(err)
	}
	r.disk.set(files)
}

// live is the process that is recorded. It tells what it has said to the senders on its standard output, in the order in which it did.
func live(t *testing.T, dir string) {
	var number, messages int
	var troubles, isKilled bool
	if _, err := fmt.Sscan(os.Getenv("JOURNAL_POWER_LIFE"), &number, &messages, &troubles, &isKilled); err != nil {
		t.Fatal(err)
	}
	j, err := Open(Options{Dir: dir, Limits: powerLimits, SegmentBytes: powerSegment})
	if err != nil {
		t.Fatal(err)
	}
	if number == 0 {
		j.mu.Lock()
		j.last = uint64(time.Now().Add(24 * time.Hour).UnixMicro()) // a clock that is ahead: only the log prevents that numbers are given twice
		j.mu.Unlock()
	}
	refused, back := false, make(chan struct{}) // deliver sends, never closed
	for _, room := range powerRooms {
		_, err := j.Open(room, func(e hub.Entry) {
			if e.Err != nil {
				refused = true
				fmt.Printf("refused %s %d\n", room, powerNumber(e.Message))
			} else {
				fmt.Printf("ack %s %d %d %d\n", room, powerNumber(e.Message), e.Message.Seq, e.Message.Prev)
			}
			back <- struct{}{}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(uint64(number), 2))
	var heal func()
	for said := 0; said < messages; {
		if troubles && heal == nil && rng.IntN(4) == 0 {
			heal = ail(t, dir, rng)
		}
		burst := 1 + rng.IntN(6)
		for i := range burst {
			room := powerRooms[0]
			if rng.IntN(5) == 0 { // in the others less is said, so that their trims come late
				room = powerRooms[1+rng.IntN(len(powerRooms)-1)]
			}
			j.Append(room, powerMessage(room, number*10_000+said+i))
		}
		for range burst {
			<-back
		}
		said += burst
		if refused && heal != nil {
			heal()
			heal = nil
		}
		refused = false
	}
	if heal != nil {
		heal()
	}
	if isKilled {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if err := j.Stop(); err != nil {
		t.Fatal(err)
	}
}

// ail makes the disk take only a part of the next batch, or leaves no descriptor or one. The function that it returns ends that.
func ail(t *testing.T, dir string, rng *rand.Rand) (heal func()) {
	ossignal.Ignore(syscall.SIGXFSZ)
	which := syscall.RLIMIT_NOFILE
	var limit syscall.Rlimit
	free := freeDescriptors(t)
	some := uint64(free[rng.IntN(2)])
	if rng.IntN(2) == 0 {
		which = syscall.RLIMIT_FSIZE
		some = newestSize(t, dir) + uint64(rng.IntN(200))
	}
	if err := syscall.Getrlimit(which, &limit); err != nil {
		t.Fatal(err)
	}
	ill := limit
	ill.Cur = some
	if err := syscall.Setrlimit(which, &ill); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(which, &limit); err != nil {
			t.Fatal(err)
		}
	}
}

// freeDescriptors returns the two lowest numbers of descriptors that are free.
func freeDescriptors(t *testing.T) (free [2]int) {
	for i := range free {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		free[i] = fd
	}
	return free
}

// newestSize returns the size of the active segment.
func newestSize(t *testing.T, dir string) uint64 {
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	info, err := os.Stat(names[len(names)-1])
	if err != nil {
		t.Fatal(err)
	}
	return uint64(info.Size())
}
