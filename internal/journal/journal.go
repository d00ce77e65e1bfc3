// Package journal is the durable [hub.Journal]. It keeps a log of records in a folder, and in memory the state that results from them.
//
// The flow of a message, in the order of the files:
//
//	writer.go    one goroutine commits what has been appended, a batch at a time, and then delivers it
//	record.go    encodes messages, trims and the other records as bytes
//	seglog/      keeps the records on the disk
//	room.go      the state of a room, which each record changes, so that the messages of a page are found without the disk
//	cache.go     the messages that were stored or read last
//	pages.go     answers queries; messages that are not in memory are read from the disk
//	keeper.go    says which records are still needed when a part of the log is rewritten
//	open.go      locks the folder, reads its records, and explains errors
//	export.go    writes all messages as JSON Lines; import.go reads them
//
// This package must not know HTTP, the wire, sessions or the configuration, and it does not log. It calls Options.Report for everything
// that an operator must know.
package journal

import (
	"sync"
	"time"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/internal/journal/seglog"
)

// Limits bound the history that is kept.
type Limits = hub.Limits

// Options configure a Journal.
type Options struct {
	Limits
	// Dir is the folder of the store. It belongs to one process at a time.
	Dir string
	// SegmentBytes is the size of the store's files; 0: 8 MiB.
	SegmentBytes int64
	// NewEpoch returns the epoch of a new store. Nil: random text.
	NewEpoch func() string
	// Report is called with each error that an operator must know. An error about storing is reported once, and again only after
	// messages could be stored meanwhile. Mended is called when messages can be stored again. Any goroutine may call both, and they
	// must not block. Either may be nil.
	Report func(error)
	Mended func()
}

// maxQueued bounds the bytes of all messages that have been appended and are not stored yet. The hub also has a bound for each room.
const maxQueued = 64 << 20

// A Journal is a hub.Journal. Stop ends it.
type Journal struct {
	opts Options       // immutable
	lock *lock         // immutable
	log  *seglog.Log   // immutable
	work chan struct{} // capacity 1: says that the queue has grown; anyone sends; never closed
	dead chan struct{} // capacity 1: says that records on the disk may be needed no longer; the writer sends; never closed
	stop chan struct{} // ends the goroutines; Stop closes it
	more *sync.Cond    // signalled with mu held when pages has grown or ending is set

	running sync.WaitGroup // the writer, the keeper and the pagers

	// Owned by the writer.
	tried  time.Time // when the last commit was tried
	wanted int       // how many bytes the last batch that failed had, at most triedBytes

	mu        sync.Mutex
	rooms     map[string]*room   // guarded by mu
	retention *hub.Retention     // guarded by mu
	known     int                // guarded by mu: how many entries room.gone of all rooms has together
	last      uint64             // guarded by mu: the last number that was given; it is never given again, even if its record could not be stored
	epoch     string             // guarded by mu
	base      seglog.Pos         // guarded by mu: where the newest base record is
	due       map[*room]struct{} // guarded by mu: rooms for which the writer must store a trim
	cache     cache              // guarded by mu
	queue     []queued           // guarded by mu: messages that have been appended and that the writer has not taken yet
	queued    int                // guarded by mu: bytes of queue and of the writer's batch
	failed    error              // guarded by mu: why nothing can be stored at present, or nil
	pages     []func()           // guarded by mu: each call reads one page; the pagers make these calls
	ending    bool               // guarded by mu: Stop has begun
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
	r := j.room(name)
	r.deliver = deliver
	return hub.Opened{Position: hub.Position{Head: r.head, Epoch: j.epoch}, Recent: r.recent()}, nil
}

// Append implements hub.Journal. If the queue is full or nothing can be stored, the message comes back with an error.
func (j *Journal) Append(name string, m *hub.Message) {
	j.mu.Lock()
	j.queue = append(j.queue, queued{j.room(name), m})
	j.queued += m.Size()
	j.mu.Unlock()
	signal(j.work)
}

// Close implements hub.Journal. The room's history stays as it is.
func (j *Journal) Close(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.rooms[name]; r != nil {
		r.deliver = nil
		j.forgetEmpty(r)
	}
}

// forgetEmpty removes a room from memory if nothing was ever stored in it. Called with mu held.
func (j *Journal) forgetEmpty(r *room) {
	if r.head == 0 && r.deliver == nil {
		j.retention.Remove(r.share)
		delete(j.rooms, r.name)
	}
}

// Stats are figures for a monitor.
type Stats struct {
	DiskBytes int64 // the size of the store on the disk
	Messages  int   // how many messages all rooms keep
	Bytes     int   // how much these messages count against Limits.TotalBytes
	Rooms     int   // how many rooms have a history, or had one until a limit removed it
	Queued    int   // bytes of the messages that have been appended and are not stored yet
	Failed    bool  // nothing can be stored at present
}

// Stats may be called from any goroutine.
func (j *Journal) Stats() Stats {
	s := Stats{DiskBytes: j.log.Size()}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.rooms {
		s.Messages += len(r.kept)
		if r.head > 0 {
			s.Rooms++
		}
	}
	s.Bytes, s.Queued, s.Failed = j.retention.Total(), j.queued, j.failed != nil
	return s
}

// start runs the goroutines.
func (j *Journal) start() {
	j.running.Go(j.write)
	j.running.Go(j.keep)
	for range pagers {
		j.running.Go(j.readPages)
	}
}

// Stop stores the messages that have been appended, ends the goroutines and closes the store. Append must not be called any more.
func (j *Journal) Stop() error {
	close(j.stop)
	j.mu.Lock()
	j.ending = true
	j.more.Broadcast()
	j.mu.Unlock()
	j.running.Wait()
	return j.close()
}

func (j *Journal) report(err error) {
	if j.opts.Report != nil {
		j.opts.Report(err)
	}
}

// signal wakes the receiver of a channel of capacity 1. It does nothing if the receiver has not taken the last signal yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
