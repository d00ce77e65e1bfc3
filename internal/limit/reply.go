package limit

import "sync"

// Limits on the bytes of replies in memory, for all addresses and for one address. A reply stays in memory
// until the client has read it or the write has timed out.
const (
	MaxReplies        = 64 << 20
	MaxRepliesAddress = 16 << 20
)

// A ReplyBudget counts the bytes of replies that are not fully written yet. It may be used from any
// goroutine. The zero value is ready for use.
type ReplyBudget struct {
	mu   sync.Mutex
	all  int             // guarded by mu
	each map[Network]int // guarded by mu: the bytes for each address
}

// Begin tells whether a reply of n bytes may be sent to an address. If so, the caller must call End later.
// If an address has no other reply in memory, its reply may have any size.
func (b *ReplyBudget) Begin(to Network, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if held := b.each[to]; held > 0 && held+n > MaxRepliesAddress || b.all > 0 && b.all+n > MaxReplies {
		return false
	}
	if b.each == nil {
		b.each = make(map[Network]int)
	}
	b.all += n
	b.each[to] += n
	return true
}

// End undoes Begin.
func (b *ReplyBudget) End(to Network, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= n
	if b.each[to] -= n; b.each[to] == 0 {
		delete(b.each, to)
	}
}

// Held returns how many bytes are in memory, and for how many addresses.
func (b *ReplyBudget) Held() (bytes, addresses int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all, len(b.each)
}
