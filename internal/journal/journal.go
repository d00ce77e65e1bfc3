// Package journal is the [hub.Journal] that survives: one NATS JetStream stream has the
// messages of all rooms, in the one order.
//
// The flow of a message, in the order of the files:
//
//	writer.go    one goroutine stores what has been appended, a batch at a time
//	record.go    a message, and a trim, as bytes in the stream
//	sync.go      one fsync for a batch
//	index.go     what is kept and shown, in memory: a page is found without the disk
//	cache.go     of that, the messages last stored or read
//	reader.go    what is no longer in memory is read back, checked
//	recover.go   at the start the whole stream is read once, and checked
//	shared.go    a stream that several processes share: the order comes by a consumer
//	arrive.go    what comes by that consumer
//	embedded.go  the NATS server inside the process, and what can be wrong with its folder
//	dump.go      everything as JSON Lines, and back
//
// This package must not know HTTP, the wire, sessions or the configuration, and it does
// not log: what an operator must hear goes to Options.Report.
package journal

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/doyasa/doyasa/hub"
)

// Options configure a Journal.
type Options struct {
	Limits
	// Dir is the folder of the embedded store. It belongs to one process at a time.
	Dir string
	// Sync is the time after which a stored message is on disk at the latest. 0: a message
	// comes back only when it is.
	Sync time.Duration
	// MessageBytes is the largest payload there is; 0: 1 MiB.
	MessageBytes int
	// NewEpoch names the order of a new store. Nil: random text.
	NewEpoch func() string
	// Report is told, once each, what an operator must do something about. It is called
	// from any goroutine. Nil: nobody is told.
	Report func(error)
}

// maxQueued bounds what has been appended and is not stored, all rooms together. A room
// has a bound of its own in the hub.
const maxQueued = 64 << 20

// A Journal is a hub.Journal. Stop ends it.
type Journal struct {
	// Immutable.
	opts   Options
	store  store
	shared *shared // nil unless other processes append to the stream as well
	nc     *nats.Conn
	js     jetstream.JetStream
	stream string
	epoch  string

	mu     sync.Mutex
	index  index          // guarded by mu
	queue  []queued       // guarded by mu: appended, for the writer
	queued int            // guarded by mu: bytes of queue and of the writer's batch
	failed error          // guarded by mu: why nothing more can be stored
	pages  []func(*pager) // guarded by mu: pages to be read
	more   *sync.Cond     // pages has grown, or stopping is set
	ending bool           // guarded by mu: Stop has begun

	delivering sync.Mutex // held while a room is told something, of a shared stream

	work chan struct{} // capacity 1: queue has grown; anyone sends, never closed
	stop chan struct{} // ends the writer and the janitor; Stop closes it

	running sync.WaitGroup // the writer, the janitor and the pagers
	next    uint64         // the Seq of the next record; the writer's alone
	lost    uint64         // how many numbers before that a power cut has taken; the writer's alone
}

// A store is what differs between a server inside this process and one elsewhere.
type store interface {
	// sync returns when everything that the server has acknowledged is on disk.
	sync() error
	// faults says that storing has failed, where the server does not answer that.
	faults() <-chan error
	// explain adds to an error what an operator can do.
	explain(error) error
	// diskBytes is what the store takes on disk.
	diskBytes() int64
	// position is up to where the stream must reach, because it once did.
	position() uint64
	// close ends it, with everything on disk up to a Seq.
	close(last uint64) error
}

// A queued message waits for the writer.
type queued struct {
	room    *room
	message *hub.Message
}

// Open implements hub.Journal.
func (j *Journal) Open(name string, deliver func(hub.Entry)) (hub.Opened, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.index.room(name)
	r.deliver = deliver
	return hub.Opened{Position: hub.Position{Head: r.head, Epoch: j.epoch}, Recent: r.recent()}, nil
}

// Append implements hub.Journal. When too much waits or nothing can be stored, the
// message comes back refused.
func (j *Journal) Append(name string, m *hub.Message) {
	j.mu.Lock()
	j.queue = append(j.queue, queued{j.index.room(name), m})
	j.queued += m.Size()
	j.mu.Unlock()
	select {
	case j.work <- struct{}{}:
	default:
	}
}

// Close implements hub.Journal: the room stays as it is.
func (j *Journal) Close(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.index.rooms[name]; r != nil {
		r.deliver = nil
		j.index.drop(r)
	}
}

// Stats are figures for a monitor.
type Stats struct {
	DiskBytes int64 // what the store takes on disk; 0 where it is elsewhere
	Messages  int   // kept, of all rooms
	Bytes     int   // that they count against Limits.TotalBytes
	Rooms     int
	Queued    int // bytes appended and not yet stored
	Failed    bool
}

// Stats may be called from any goroutine.
func (j *Journal) Stats() Stats {
	s := Stats{DiskBytes: j.store.diskBytes()}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.index.rooms {
		s.Messages += len(r.kept) - r.hidden
		if r.head > 0 { // somebody has said something
			s.Rooms++
		}
	}
	s.Bytes, s.Queued, s.Failed = j.index.total, j.queued, j.failed != nil
	return s
}

// start runs the goroutines of a recovered journal.
func (j *Journal) start() {
	j.more = sync.NewCond(&j.mu)
	j.work = make(chan struct{}, 1)
	j.stop = make(chan struct{})
	j.running.Go(j.write)
	for range pagers {
		j.running.Go(j.readPages)
	}
}

// Stop stores what has been appended, ends the goroutines and closes the store. Nothing
// may be appended from then on.
func (j *Journal) Stop() error {
	close(j.stop)
	j.mu.Lock()
	j.ending = true
	j.more.Broadcast()
	j.mu.Unlock()
	j.running.Wait()
	if j.shared != nil {
		j.shared.stop()
		<-j.shared.closed
	}
	j.nc.Close()
	last := j.next - 1
	j.mu.Lock()
	if j.failed != nil {
		last = 0 // what has been stored is not known
	}
	j.mu.Unlock()
	return j.store.close(last)
}

// fail ends the storing for good, and tells why. Reading goes on.
func (j *Journal) fail(err error) error {
	err = fmt.Errorf("%w: %w", hub.ErrUnavailable, j.store.explain(err))
	j.mu.Lock()
	first := j.failed == nil
	if first {
		j.failed = err
	}
	err = j.failed
	j.mu.Unlock()
	if first && j.opts.Report != nil {
		j.opts.Report(err)
	}
	return err
}
