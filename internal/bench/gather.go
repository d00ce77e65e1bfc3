package bench

import (
	"bytes"
	"strconv"
	"time"
)

// gathers tells whether messages are read whole before they are understood: those of doyasa.v1, and joined ones.
func (r *run) gathers() bool { return r.opts.V1 || r.opts.Joined }

// gathered takes a whole message.
func (r *run) gathered(i int, c *conn, p []byte, now time.Duration) {
	if r.opts.V1 {
		r.envelope(i, c, p, now)
		return
	}
	for len(p) >= headLen {
		one := p[:min(r.opts.Size, len(p))]
		r.whole(i, c, one, !bytes.Equal(one[headLen:], r.filler), now)
		p = p[len(one):]
		if len(p) > 0 && p[0] == '\n' {
			p = p[1:]
		}
	}
}

// envelope takes a frame of doyasa.v1. Of JSON it reads no more than it must: the server's own order of fields is in the
// protocol's examples, and another would be taken for damage.
func (r *run) envelope(i int, c *conn, p []byte, now time.Duration) {
	rest, ok := bytes.CutPrefix(p, []byte(`{"type":"message","seq":`))
	if !ok {
		r.other(c, p)
		return
	}
	seq, rest, ok1 := cutNumber(rest)
	rest, ok2 := bytes.CutPrefix(rest, []byte(`,"prev":`))
	prev, rest, ok3 := cutNumber(rest)
	at := bytes.Index(rest, []byte(`"text":"`))
	if !ok1 || !ok2 || !ok3 || at < 0 {
		r.faults.damaged++
		return
	}
	if c.seq != 0 && prev != c.seq && !c.stalled {
		r.faults.holes++
	}
	c.seq = seq
	text := rest[at+len(`"text":"`):]
	end := bytes.IndexByte(text, '"')
	if end < headLen {
		r.faults.foreign++
		return
	}
	text = text[:end]
	r.whole(i, c, text, !bytes.Equal(text[headLen:], r.filler), now)
}

// other takes a frame that is no message.
func (r *run) other(c *conn, p []byte) {
	if c.stalled {
		return
	}
	switch code := field(p, "code"); field(p, "type") {
	case "error":
		r.faults.refuse(code)
	case "gap":
		r.faults.refuse("gap")
	}
}

// field returns the text of a field near the beginning of a JSON object, "" if it is not there.
func field(p []byte, name string) string {
	at := bytes.Index(p, []byte(`"`+name+`":"`))
	if at < 0 {
		return ""
	}
	value, _, _ := bytes.Cut(p[at+len(name)+4:], []byte(`"`))
	return string(value)
}

func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	end := 0
	for end < len(b) && b[end]-'0' < 10 {
		end++
	}
	n, err := strconv.ParseUint(string(b[:end]), 10, 53)
	return n, b[end:], err == nil
}
