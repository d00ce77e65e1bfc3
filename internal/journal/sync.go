package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A syncer puts the blocks of a stream on disk. The server writes a record to its block
// before it acknowledges it, and could sync after each one; here all that a batch has
// written is synced at once, which is what makes "always" affordable. It must know that a
// stream's blocks are numbered files in one folder, and says so when they are not. It
// belongs to the writer.
type syncer struct {
	dir    string
	when   time.Time              // of the folder's last change that has been seen
	blocks map[string]fs.FileInfo // as last synced
	newest string
}

// sync fsyncs every block that has changed, mostly one, and the folder if there are
// other blocks than before.
func (s *syncer) sync() error {
	info, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	if s.blocks != nil && info.ModTime().Equal(s.when) {
		return s.block(s.newest) // no block has come, gone or been rewritten
	}
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	seen := make(map[string]fs.FileInfo)
	newest, highest := "", -1
	for _, e := range names {
		number, found := strings.CutSuffix(e.Name(), ".blk")
		if n, err := strconv.Atoi(number); !found || err != nil {
			continue
		} else if n > highest {
			newest, highest = e.Name(), n
		}
		if seen[e.Name()], err = e.Info(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if newest == "" {
		return fmt.Errorf("%s has no block: this version of the store is not understood", s.dir)
	}
	for name, now := range seen {
		was := s.blocks[name]
		if now == nil || was != nil && os.SameFile(was, now) && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime()) {
			continue
		}
		if err := s.block(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncFile(s.dir); err != nil {
		return err
	}
	s.when, s.blocks, s.newest = info.ModTime(), seen, newest
	if time.Since(s.when) < time.Second {
		s.when = time.Time{} // the folder may change again with the same time
	}
	return nil
}

func (s *syncer) block(name string) error { return syncFile(filepath.Join(s.dir, name)) }

// syncTree fsyncs all that is in a folder, and its entry in the one above. The server does
// not do that for what it writes once, such as the stream's metadata with the epoch.
func syncTree(dir string) error {
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) {
			err = syncFile(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server has renamed or removed it meanwhile
		}
		return err
	})
	above := syncFile(filepath.Dir(dir))
	if errors.Is(above, fs.ErrPermission) {
		above = nil // it may be used and not read, and then it was not made here
	}
	return errors.Join(err, above)
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
