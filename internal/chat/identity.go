package chat

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/doyasa/doyasa/hub"
)

const (
	identityKept  = 10 * time.Minute // how long an identity is kept after its connection has ended
	identitiesMax = 100_000          // how many identities without a connection are kept
)

// identities remembers people between connections: a client that presents the secret of an earlier `hello`
// gets the same id and name again. Every `hello` has a new secret.
type identities struct {
	mu     sync.Mutex
	known  map[string]*identity // guarded by mu: by secret
	parted []*identity          // guarded by mu: the identities whose connection has ended, in the order in which the connections ended
}

// An identity is one person on one connection.
type identity struct {
	secret string     // immutable
	who    hub.Author // guarded by identities.mu
	ended  time.Time  // guarded by identities.mu: zero while connected
}

func newIdentities() *identities {
	return &identities{known: make(map[string]*identity)}
}

// claim returns the person to whom a secret belongs, with a new secret. The old secret stays valid for its
// time, because the connection may be cut before the new one arrives. An unknown or empty secret makes a new
// person. If name is not empty, the person has this name from now on; guest gives a name to a person without
// one.
func (is *identities) claim(secret, name string, guest func() string) *identity {
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
		next.who.Name = guest()
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

// part starts the time after which an identity without a connection is forgotten.
func (is *identities) part(id *identity) {
	is.mu.Lock()
	defer is.mu.Unlock()
	id.ended = time.Now()
	is.parted = append(is.parted, id)
	is.expire(id.ended)
}

// expire forgets the people whose connection ended too long ago. If too many remain, it forgets those whose
// connection ended first. Called with mu held.
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
