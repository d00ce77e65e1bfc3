package chat

import (
	"errors"

	"github.com/doyasa/doyasa/hub"
	"github.com/doyasa/doyasa/wsproto"
)

// A Code is a stable name by which a client learns what is wrong. Each code is one row of the table below.
// docs/protocol.md shows the same table, and the page has a translation of each code that an error frame or a
// Close frame can carry. Tests compare all three.
type Code struct {
	Name   string
	Text   string              // in English, for developers
	Frame  bool                // an `error` frame may carry it
	Close  []wsproto.CloseCode // a Close frame with one of these codes may carry it as the reason; the first one is the default
	Status []int               // an HTTP error with one of these statuses may carry it in the body; the first one is the default
}

// Codes has all codes in the order of the table.
var Codes []*Code

func row(c Code) *Code {
	Codes = append(Codes, &c)
	return &c
}

const (
	going  = wsproto.CloseGoingAway
	data   = wsproto.CloseUnsupportedData
	policy = wsproto.ClosePolicyViolation
	fault  = wsproto.CloseInternalError
	again  = wsproto.CloseServiceRestart
	later  = wsproto.CloseTryAgainLater
)

func on(codes ...wsproto.CloseCode) []wsproto.CloseCode { return codes }
func status(statuses ...int) []int                      { return statuses }

// The table.
var (
	// Errors in a message of a client.
	BadJSON     = row(Code{"bad_json", "not one JSON object", true, nil, nil})
	BadType     = row(Code{"bad_type", `"type" must be a string`, true, nil, nil})
	UnknownType = row(Code{"unknown_type", `"type" is not one that a client sends`, true, nil, nil})
	BadText     = row(Code{"bad_text", `"text" must be a string without control characters other than line ends and tabs`, true, nil, status(400, 408)})
	TextEmpty   = row(Code{"text_empty", "the text is empty", true, nil, status(400)})
	TextTooLong = row(Code{"text_too_long", "the text has more than limits.text_bytes bytes of UTF-8", true, nil, status(413)})
	BadID       = row(Code{"bad_id", `"id" must be a UUID in its 36-character form`, true, nil, status(400)})
	BadName     = row(Code{"bad_name", "a name is 1 to 32 characters and nothing invisible", true, on(policy), status(400)})
	RateLimited = row(Code{"rate_limited", "too many messages", true, on(later), status(429)})
	Busy        = row(Code{"busy", "the room cannot take more just now", true, on(later), status(503)})
	NotStored   = row(Code{"not_stored", "the history takes no messages at present; what it has can be read", true, nil, status(503)})
	Internal    = row(Code{"internal", "the message could not be stored", true, on(later, fault), status(503, 500)})

	// Errors in a query.
	BadQuery  = row(Code{"bad_query", "the query cannot be read", false, on(policy), status(400)})
	BadRoom   = row(Code{"bad_room", "a room is 1 to 64 letters, digits, - and _", false, on(policy), status(400)})
	BadAfter  = row(Code{"bad_after", `"after" must be a position`, false, on(policy), status(400)})
	BadBefore = row(Code{"bad_before", `"before" must be a position`, false, nil, status(400)})
	BadLimit  = row(Code{"bad_limit", `"limit" must be a number`, false, nil, status(400)})
	RoomsFull = row(Code{"rooms_full", "there are rooms.max rooms and each has somebody in it", false, on(later), status(503)})

	// Reasons to close a connection.
	PongTimeout   = row(Code{"pong_timeout", "nothing was heard from the client", false, on(going), nil})
	Binary        = row(Code{"binary", "doyasa.v1 has text messages only", false, on(data), nil})
	TooManyErrors = row(Code{"too_many_errors", "the client does not react to errors", false, on(policy), nil})
	Refused       = row(Code{"refused", "a message of a raw member was not stored", false, on(fault), nil})
	Restart       = row(Code{"restart", "the server restarts", false, on(again), nil})
	Overtaken     = row(Code{"overtaken", "a raw member reads so slowly that messages would be missing", false, on(later), nil})

	// Errors of a request.
	BadHandshake     = row(Code{"bad_handshake", "not an opening handshake of RFC 6455", false, nil, status(400, 405, 426)})
	Origin           = row(Code{"origin", "this origin may not connect: its address must be the server's public_url or in allowed_origins", false, nil, status(403)})
	NotFound         = row(Code{"not_found", "there is nothing at this path", false, nil, status(404)})
	BadMethod        = row(Code{"bad_method", "this path does not take the method", false, nil, status(405)})
	BadEncoding      = row(Code{"bad_encoding", "the body must be UTF-8 without a Content-Encoding", false, nil, status(415)})
	ConnectionsPerIP = row(Code{"connections_per_ip", "too many connections from one address", false, nil, status(429)})
	Connections      = row(Code{"connections", "the server is full", false, nil, status(503)})
	ShuttingDown     = row(Code{"shutting_down", "shutting down", false, nil, status(503)})
)

// Unstored returns the code for a message that the hub or the journal did not take.
func Unstored(err error) *Code {
	switch {
	case errors.Is(err, hub.ErrRoomsFull):
		return RoomsFull
	case errors.Is(err, hub.ErrBusy), errors.Is(err, hub.ErrClosed):
		return Busy
	case errors.Is(err, hub.ErrUnavailable):
		return NotStored
	}
	return Internal
}
