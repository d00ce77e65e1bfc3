package journal

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	streamName   = "doyasa"
	lockName     = "doyasa.lock"
	positionName = "doyasa.position" // up to where the last process that ended well had stored
)

// startTimeout bounds how long the embedded server may take to read its own files.
const startTimeout = 5 * time.Minute

// embedded is a NATS server in this process, without a listener.
type embedded struct {
	dir    string
	lock   *os.File
	server *server.Server
	log    *serverLog
	syncer syncer
}

// OpenEmbedded opens the store in o.Dir, or makes one there. It reads all of it, and
// refuses it when something is damaged. The error names the folder and the remedy.
func OpenEmbedded(o Options) (*Journal, error) {
	j, damaged, err := openEmbedded(o)
	if err != nil {
		return nil, err
	}
	if len(damaged) > 0 {
		more := ""
		if len(damaged) > 1 {
			more = fmt.Sprintf(", and %d more", len(damaged)-1)
		}
		err := j.store.explain(fmt.Errorf("%w: %w%s", errStoreDamaged, damaged[0], more))
		j.nc.Close()
		return nil, errors.Join(err, j.store.close(0))
	}
	j.start()
	return j, nil
}

var (
	errStoreDamaged = errors.New("the store is damaged")
	errLocked       = errors.New("another doyasa is using it")
)

// openEmbedded opens a store whose goroutines are not running yet, and tells what is
// damaged in it.
func openEmbedded(o Options) (_ *Journal, _ []*damage, err error) {
	if o.NewEpoch == nil {
		o.NewEpoch = rand.Text
	}
	e := &embedded{dir: o.Dir, log: newServerLog()}
	e.syncer.dir = filepath.Join(o.Dir, server.JetStreamStoreDir, server.DEFAULT_GLOBAL_ACCOUNT, "streams", streamName, "msgs")
	j := &Journal{opts: o, store: e, index: newIndex(o.Limits)}
	defer func() {
		if err != nil {
			if j.nc != nil {
				j.nc.Close()
			}
			err = errors.Join(e.explain(err), e.close(0))
		}
	}()
	if err := e.claim(); err != nil {
		return nil, nil, err
	}
	if err := e.run(o); err != nil {
		return nil, nil, err
	}
	if j.nc, err = nats.Connect("", nats.InProcessServer(e.server), nats.Name("doyasa"), quiet); err != nil {
		return nil, nil, err
	}
	if j.js, err = jetstream.New(j.nc, jetstream.WithPublishAsyncMaxPending(2*batchMessages)); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	state, err := j.openStream(ctx, jetstream.StreamConfig{
		Name:        streamName,
		Subjects:    []string{messagePrefix + "*", trimPrefix + "*"},
		Storage:     jetstream.FileStorage,
		AllowDirect: true,
	})
	if err != nil {
		return nil, nil, cmp.Or(e.log.fault(), err)
	}
	damaged, err := j.recover(state)
	if errors.Is(err, errDamaged) {
		damaged, err = append(damaged, &damage{seq: state.FirstSeq, err: err}), nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(e.sync(), syncTree(e.dir)); err != nil { // what making or recovering it has written
		return nil, nil, err
	}
	return j, damaged, nil
}

// claim makes the folder, finds out whether it can be used, and locks it.
func (e *embedded) claim() error {
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(e.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := lockFile(lock); err != nil {
		lock.Close()
		return err
	}
	e.lock = lock
	if err := e.probe(); err != nil {
		return err
	}
	// What belongs to somebody else often shows only further down.
	return filepath.WalkDir(e.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

// probe writes a little, to find out before the server does, which tells less.
func (e *embedded) probe() error {
	name := filepath.Join(e.dir, lockName+".tmp")
	err := os.WriteFile(name, make([]byte, 64<<10), 0o600)
	return errors.Join(err, os.Remove(name))
}

// run starts the server.
func (e *embedded) run(o Options) (err error) {
	interval := o.Sync
	if interval == 0 {
		interval = time.Minute // it is for what the server writes besides, and for compaction
	}
	e.server, err = server.NewServer(&server.Options{
		ServerName:         "doyasa",
		DontListen:         true,
		NoSigs:             true,
		MaxPayload:         int32(min(cmp.Or(o.MessageBytes, 1<<20)+64<<10, 64<<20)),
		JetStream:          true,
		StoreDir:           e.dir,
		SyncInterval:       interval,
		JetStreamMaxMemory: 1 << 20, // nothing is stored there
		JetStreamMaxStore:  1 << 50, // otherwise a part of what is free right now; the bound is in index.go
	})
	if err != nil {
		return err
	}
	e.server.SetLoggerV2(e.log, false, false, false)
	go e.server.Start() // returns when the server runs
	for deadline := time.Now().Add(startTimeout); !e.server.ReadyForConnections(100*time.Millisecond) || !e.server.JetStreamEnabled(); {
		if err := e.log.fault(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the store was not ready within %s", startTimeout)
		}
	}
	return nil
}

func (e *embedded) sync() error          { return e.syncer.sync() }
func (e *embedded) faults() <-chan error { return e.log.faults }

// position is up to where the store must reach.
func (e *embedded) position() uint64 {
	b, err := os.ReadFile(filepath.Join(e.dir, positionName))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64)
	return n
}

func (e *embedded) close(last uint64) error {
	var err error
	if e.server != nil {
		if last > 0 {
			err = e.sync()
		}
		e.server.Shutdown()
		e.server.WaitForShutdown()
		if last > 0 && err == nil {
			err = e.keepPosition(last)
		}
		e.server = nil
	}
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
		e.lock = nil
	}
	return err
}

func (e *embedded) keepPosition(last uint64) error {
	name := filepath.Join(e.dir, positionName)
	if err := os.WriteFile(name+".tmp", fmt.Appendln(nil, last), 0o600); err != nil {
		return err
	}
	if err := errors.Join(syncFile(name+".tmp"), os.Rename(name+".tmp", name)); err != nil {
		return err
	}
	return syncFile(e.dir)
}

// diskBytes adds up the files. One that goes meanwhile counts or does not.
func (e *embedded) diskBytes() int64 {
	total := int64(0)
	filepath.WalkDir(e.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
