package limit

import "sync/atomic"

// MaxInput is how many bytes of input all connections together may hold. Input is held while a message is
// incomplete, or while it was read and must wait. FreeShare is how many bytes each connection may hold even
// if MaxInput is used up.
const (
	MaxInput  = 64 << 20
	FreeShare = 4 << 10
)

// InputBytes counts the bytes of input that all connections together hold. It may be used from any
// goroutine.
type InputBytes struct {
	max   int64 // immutable
	total atomic.Int64
}

// NewInputBytes returns a count that allows MaxInput, or twice the size of the largest message if that is
// more.
func NewInputBytes(maxMessage int64) *InputBytes {
	return &InputBytes{max: max(MaxInput, 2*maxMessage)}
}

// Add counts n more bytes, or fewer if n is negative.
func (b *InputBytes) Add(n int) { b.total.Add(int64(n)) }

// Total returns how many bytes are held now.
func (b *InputBytes) Total() int64 { return b.total.Load() }

// Max returns how many bytes are allowed.
func (b *InputBytes) Max() int64 { return b.max }

// Over tells whether a connection that holds this many bytes must not hold more.
func (b *InputBytes) Over(held int) bool { return held > FreeShare && b.total.Load() > b.max }
