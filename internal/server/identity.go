package server

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
)

const (
	identityKept  = 10 * time.Minute // after the connection's end
	identitiesMax = 100_000          // of people who are gone
)

// identities remembers who is who between connections: a secret, new in every hello,
// brings its bearer the same id and name again.
type identities struct {
	mu     sync.Mutex
	known  map[string]*identity // guarded by mu: by secret
	parted []*identity          // guarded by mu: whose connection has ended, in the order of their ends
}

// identity is guarded by identities.mu, except secret, which is immutable.
type identity struct {
	secret string
	who    hub.Author
	ended  time.Time // zero while connected
}

func newIdentities() *identities {
	return &identities{known: make(map[string]*identity)}
}

// claim gives who a secret stands for a new one. The old one stays good for its time: its
// bearer may be cut off before the new one arrives. An unknown or empty secret makes a
// new person. name, if not empty, is the name from now on; nameless is asked for one
// when there is none.
func (is *identities) claim(secret, name string, nameless func() string) *identity {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.expire(time.Now())
	next := &identity{secret: rand.Text()}
	if was := is.known[secret]; was != nil {
		next.who = was.who
	} else {
		next.who.ID = uuid.NewString()
	}
	switch {
	case name != "":
		next.who.Name = name
	case next.who.Name == "":
		next.who.Name = nameless()
	}
	is.known[next.secret] = next
	return next
}

// rename remembers a new name.
func (is *identities) rename(id *identity, name string) {
	is.mu.Lock()
	id.who.Name = name
	is.mu.Unlock()
}

// part starts the time for which an identity is kept without a connection.
func (is *identities) part(id *identity) {
	is.mu.Lock()
	defer is.mu.Unlock()
	id.ended = time.Now()
	is.parted = append(is.parted, id)
	is.expire(id.ended)
}

// expire forgets those who have been gone too long, and the longest gone when there
// are too many. Called with mu held.
func (is *identities) expire(now time.Time) {
	for len(is.parted) > 0 {
		oldest := is.parted[0]
		if len(is.parted) <= identitiesMax && now.Sub(oldest.ended) < identityKept {
			return
		}
		delete(is.known, oldest.secret)
		is.parted[0] = nil
		is.parted = is.parted[1:]
	}
}
