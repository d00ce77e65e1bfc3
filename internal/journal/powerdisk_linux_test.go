package journal

import (
	"bytes"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A disk is a model of a file system: what is surely on it, and what a process has changed since, of which a power cut may leave any
// part. Sync calls make changes sure:
//
//   - fsync and fdatasync of a file: its bytes and its size. One that fails makes nothing sure, and those changes may be lost although
//     a later one succeeds, because the kernel no longer tries to write them.
//   - fsync of a folder: the names in it
//
// Anything may reach the disk before it is sure. Before that a write may be there in part, sector by sector.
type disk struct {
	parent  string // the folder in which dir is made
	dir     string
	names   map[string]*node // by path: those that are sure
	nameOps []*nameChange    // in order: those that are not
	open    map[int]*node    // by descriptor of the process that runs
}

// A node is a file or a folder.
type node struct {
	path    string // of a folder
	content []byte // that is sure
	ops     []*dataChange
}

// A dataChange is a write to a file, or its truncation.
type dataChange struct {
	at     int
	data   []byte // nil: a truncation to at
	ended  int    // line of the trace
	isSure bool   // it was synced, but waits for one before it that is not
	isLost bool   // a sync of it has failed: a later one does not make it sure
}

// A nameChange gives a name to a file or folder, takes one away, or does both at once.
type nameChange struct {
	folder      string
	remove, add string
	node        *node
	ended       int
}

func newDisk(dir string) *disk {
	return &disk{parent: filepath.Dir(dir), dir: dir, names: make(map[string]*node), open: make(map[int]*node)}
}

// with returns the bytes of a file with the changes that are sure and those that are chosen.
func (n *node) with(chosen func(*dataChange) bool) []byte {
	b := bytes.Clone(n.content)
	for _, op := range n.ops {
		if op.isSure || chosen(op) {
			b = op.apply(b)
		}
	}
	return b
}

func (op *dataChange) end() int { return op.at + len(op.data) }

func (op *dataChange) apply(b []byte) []byte {
	if op.data == nil {
		return resize(b, op.at)
	}
	b = resize(b, max(len(b), op.end()))
	copy(b[op.at:], op.data)
	return b
}

func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// now returns the names as the process sees them.
func (d *disk) now() map[string]*node {
	names := maps.Clone(d.names)
	for _, op := range d.nameOps {
		op.apply(names)
	}
	return names
}

func (op *nameChange) apply(names map[string]*node) {
	if op.remove != "" {
		delete(names, op.remove)
	}
	if op.add != "" {
		names[op.add] = op.node
	}
}

// isHere tells whether a path is that of the folder or of something in it.
func (d *disk) isHere(path string) bool { return path == d.dir || filepath.Dir(path) == d.dir }

// began takes in that a call begins. A descriptor may be given to another file as soon as its close begins.
func (d *disk) began(t testing.TB, c *call) {
	if c.name == "close" {
		delete(d.open, c.number(t, 0))
	}
}

// ended takes in that a call has returned. It calls before first if that changes what a power cut may leave.
func (d *disk) ended(t testing.TB, c *call, before func()) {
	var n *node // of a descriptor
	switch c.name {
	case "fsync", "fdatasync", "pwrite64", "ftruncate", "write", "fallocate":
		if n = d.open[c.number(t, 0)]; n == nil {
			return
		}
	}
	switch {
	case c.name == "fsync" || c.name == "fdatasync":
		before()
		d.sync(n, c)
	case c.result < 0:
	case c.name == "openat":
		d.openFile(c, before)
	case c.name == "pwrite64":
		before()
		n.ops = append(n.ops, &dataChange{at: c.number(t, 3), data: []byte(c.args[1][:c.result]), ended: c.ended})
	case c.name == "ftruncate":
		before()
		n.ops = append(n.ops, &dataChange{at: c.number(t, 1), ended: c.ended})
	case c.name == "mkdirat" || c.name == "unlinkat" || c.name == "renameat":
		d.rename(c, before)
	case c.name != "close" && c.name != "write":
		t.Fatalf("line %d of the trace: the model does not know %s", c.began, c.name)
	case n != nil:
		t.Fatalf("line %d of the trace: the model does not know write to a file", c.began)
	}
}

func (d *disk) openFile(c *call, before func()) {
	path := c.args[1]
	if path == d.parent {
		d.open[c.result] = &node{path: path}
		return
	}
	if !d.isHere(path) {
		return
	}
	n := d.now()[path]
	if n != nil && strings.Contains(c.args[2], "O_TRUNC") {
		before()
		n.ops = append(n.ops, &dataChange{ended: c.ended})
	}
	if n == nil {
		before()
		n = &node{}
		d.nameOps = append(d.nameOps, &nameChange{folder: d.dir, add: path, node: n, ended: c.ended})
	}
	d.open[c.result] = n
}

func (d *disk) rename(c *call, before func()) {
	op := &nameChange{folder: d.dir, ended: c.ended}
	switch path := c.args[1]; c.name {
	case "mkdirat":
		op.folder, op.add, op.node = filepath.Dir(path), path, &node{path: path}
	case "unlinkat":
		op.remove = path
	case "renameat":
		op.remove, op.add, op.node = path, c.args[3], d.now()[path]
	}
	if d.isHere(op.remove) || d.isHere(op.add) {
		before()
		d.nameOps = append(d.nameOps, op)
	}
}

// sync makes sure what had been changed before a sync of a file or a folder began.
func (d *disk) sync(n *node, c *call) {
	if n.path != "" {
		if c.result < 0 {
			return
		}
		var rest []*nameChange
		for _, op := range d.nameOps {
			if op.folder == n.path && op.ended < c.began {
				op.apply(d.names)
			} else {
				rest = append(rest, op)
			}
		}
		d.nameOps = rest
		return
	}
	isMixed := false
	for _, op := range n.ops {
		if op.ended < c.began {
			op.isLost = op.isLost || c.result < 0
			op.isSure = !op.isLost
		}
		isMixed = isMixed || !op.isSure
	}
	none := n.with(func(*dataChange) bool { return false })
	if !isMixed || c.result == 0 && len(n.ops) > 0 && n.ops[len(n.ops)-1].isSure && bytes.Equal(none, n.with(func(*dataChange) bool { return true })) {
		n.content, n.ops = none, nil
	}
}

// files returns what the folder has in it when everything has reached the disk, as after a kill.
func (d *disk) files() map[string][]byte {
	return d.read(d.now(), func(n *node) []byte { return n.with(func(*dataChange) bool { return true }) })
}

// read returns the files by their names in the folder; nil if there is not even a folder.
func (d *disk) read(names map[string]*node, content func(*node) []byte) map[string][]byte {
	if names[d.dir] == nil {
		return nil
	}
	files := make(map[string][]byte)
	for path, n := range names {
		if path != d.dir {
			files[filepath.Base(path)] = content(n)
		}
	}
	return files
}

// set makes a disk on which exactly some files are, all of them sure.
func (d *disk) set(files map[string][]byte) {
	d.names = map[string]*node{d.dir: {path: d.dir}}
	d.nameOps, d.open = nil, make(map[int]*node)
	for name, content := range files {
		d.names[filepath.Join(d.dir, name)] = &node{content: bytes.Clone(content)}
	}
}

// A slot is a group of writes to one range of a file that are not sure: a power cut leaves none or one of them.
type slot struct {
	node *node
	ops  []*dataChange
}

// slots returns what is not sure of the bytes of the files that may have a name.
func (d *disk) slots() (all []slot) {
	nodes := make(map[*node]string)
	for path, n := range d.names {
		nodes[n] = path
	}
	for _, op := range d.nameOps {
		if op.node != nil {
			nodes[op.node] = op.add
		}
	}
	sorted := slices.SortedFunc(maps.Keys(nodes), func(a, b *node) int { return strings.Compare(nodes[a], nodes[b]) })
	for _, n := range sorted {
		isFirst := true
		for _, op := range n.ops {
			if op.isSure {
				continue
			}
			if last := len(all) - 1; !isFirst && op.data != nil {
				if p := all[last].ops[0]; p.data != nil && p.at == op.at && p.end() == op.end() {
					all[last].ops = append(all[last].ops, op)
					continue
				}
			}
			all = append(all, slot{n, []*dataChange{op}})
			isFirst = false
		}
	}
	return all
}

// Of a point of a trace at which more is open than this, a seed chooses subsets; else all of them are taken.
const allSubsets = 8

// states calls yield with what a power cut at this point may leave, each different one once: with all subsets of what is open, or
// with some; and for each of them a few times with writes that have reached the disk in part.
func (d *disk) states(rng *rand.Rand, torn, some int, yield func(files map[string][]byte)) {
	slots, seen := d.slots(), make(map[uint64]bool)
	give := func(isOn []bool, isTorn bool) {
		files := d.choose(rng, slots, isOn, isTorn)
		if key := fingerprint(files); !seen[key] {
			seen[key] = true
			yield(files)
		}
	}
	n := len(slots) + len(d.nameOps)
	isOn := make([]bool, n)
	if n <= allSubsets {
		for set := range 1 << n {
			for i := range isOn {
				isOn[i] = set>>i&1 == 1
			}
			give(isOn, false)
			for range torn {
				give(isOn, true)
			}
		}
		return
	}
	for i := range some {
		for j := range isOn {
			isOn[j] = rng.IntN(2) == 1
		}
		if i%2 == 0 { // names in their order, as ext4 writes them
			names := isOn[len(slots):]
			first := rng.IntN(len(names) + 1)
			for j := range names {
				names[j] = j < first
			}
		}
		give(isOn, i%4 >= 2)
	}
}

// choose returns the files that a power cut leaves when some changes have reached the disk, and writes maybe in part.
func (d *disk) choose(rng *rand.Rand, slots []slot, isOn []bool, isTorn bool) map[string][]byte {
	names := maps.Clone(d.names)
	for i, op := range d.nameOps {
		if isOn[len(slots)+i] {
			op.apply(names)
		}
	}
	chosen := make(map[*dataChange]bool) // and whether all of it is there
	for i, s := range slots {
		op := s.ops[len(s.ops)-1]
		if isTorn {
			op = s.ops[rng.IntN(len(s.ops))]
		}
		canTear := isTorn && len(op.data) > 0
		if isOn[i] {
			chosen[op] = !canTear || rng.IntN(2) == 0
		} else if canTear && rng.IntN(4) == 0 {
			chosen[op] = false
		}
	}
	return d.read(names, func(n *node) []byte {
		b := bytes.Clone(n.content)
		for _, op := range n.ops {
			isWhole, isChosen := chosen[op]
			switch {
			case op.isSure, isWhole:
				b = op.apply(b)
			case isChosen:
				b = op.tear(rng, b)
			}
		}
		return b
	})
}

// tear applies a write of which only some sectors have reached the disk. The file may have its new size or the old one, or end with
// the last of these sectors.
func (op *dataChange) tear(rng *rand.Rand, b []byte) []byte {
	sector := []int{512, 4096}[rng.IntN(2)]
	before := len(b)
	if op.end() > len(b) {
		b = resize(b, op.end())
	}
	last, how, border := before, rng.IntN(4), op.at+rng.IntN(len(op.data)+1)
	for from := op.at; from < op.end(); {
		to := min(op.end(), (from/sector+1)*sector)
		isThere := false // as in case 3: only the size has changed
		switch how {
		case 0: // the beginning
			isThere = to <= border
		case 1: // the end
			isThere = from >= border
		case 2:
			isThere = rng.IntN(2) == 1
		}
		if isThere {
			copy(b[from:to], op.data[from-op.at:])
			last = max(last, to)
		}
		from = to
	}
	switch rng.IntN(3) {
	case 0:
		return b[:max(before, last)]
	case 1:
		return b[:before]
	}
	return b
}

// fingerprint tells different states apart.
func fingerprint(files map[string][]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(fingerprintSeed)
	h.WriteByte(byte(min(len(files), 1)))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		maphash.WriteComparable(&h, name)
		maphash.WriteComparable(&h, len(files[name]))
		h.Write(files[name])
	}
	return h.Sum64()
}

var fingerprintSeed = maphash.MakeSeed()

// lay writes files into a folder, which is made. Without files there is no folder.
func lay(dir string, files map[string][]byte) error {
	if files == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// phases tells what is under way, as far as it is not sure yet.
func (d *disk) phases() (all []string) {
	add := func(phase string) {
		if !slices.Contains(all, phase) {
			all = append(all, phase)
		}
	}
	for _, op := range d.nameOps {
		isTemporary := strings.HasSuffix(op.add, ".tmp")
		switch {
		case isTemporary:
			add("rewriting 1, the new file is made")
		case op.remove != "" && op.add != "":
			add("rewriting 2, the new file takes the name of an old one")
		case strings.HasSuffix(op.add, ".seg"):
			add("a new segment")
		case op.node != nil && op.node.path != "":
			add("a new folder")
		case strings.HasSuffix(op.remove, ".seg"):
			add("rewriting 4, or a start: old files are removed")
		}
	}
	for path, n := range d.now() {
		for _, op := range n.ops {
			switch {
			case op.isLost:
				add("after a sync that failed")
			case op.data == nil:
				add("a segment is cut")
			case strings.HasSuffix(path, ".tmp"):
				add("rewriting 1, the new file is written")
			case strings.HasSuffix(path, ".seg"):
				add("a batch is written")
			}
		}
	}
	if len(all) == 0 {
		add("at rest")
	}
	slices.Sort(all)
	return all
}
