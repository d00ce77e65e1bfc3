package bench

import (
	"bytes"
	"strconv"
	"time"
)

// message handles a whole message that connection i has received.
func (r *run) message(i int, c *conn, p []byte, now time.Duration) {
	switch {
	case r.opts.V1:
		r.envelope(i, c, p, now)
	case r.opts.Joined:
		r.joined(i, c, p, now)
	default:
		r.text(i, c, p, now)
	}
}

// joined handles a message in which the server has joined several messages of this run with newlines.
func (r *run) joined(i int, c *conn, p []byte, now time.Duration) {
	for len(p) >= headLen {
		one := p[:min(r.opts.Size, len(p))]
		r.text(i, c, one, now)
		p = p[len(one):]
		if len(p) > 0 && p[0] == '\n' {
			p = p[1:]
		}
	}
}

// text handles the text of a message. A message of this run is a head and the filler.
func (r *run) text(i int, c *conn, p []byte, now time.Duration) {
	if len(p) < headLen {
		r.faults.foreign++
		return
	}
	if !bytes.Equal(p[headLen:], r.filler) {
		if _, tag, _, ok := parseHead(p); ok && tag == r.tag && !c.stalled {
			r.faults.damaged++
		}
	}
	r.deliver(i, c, p, now)
}

// envelope handles a frame of doyasa.v1. Parsing JSON would cost too much, so it looks for the fields in the order of the protocol's
// examples. A message with its fields in another order counts as damaged.
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
	r.text(i, c, text[:max(end, 0)], now)
}

// other handles a frame that is not a message.
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

// field returns the text of a field of a JSON object, "" if the object does not have it.
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
