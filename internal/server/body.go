package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/doyasa/doyasa/internal/chat"
)

// byteOrderMark is U+FEFF in UTF-8. Editors on Windows write it at the beginning of a file.
const byteOrderMark = "\ufeff"

// readText reads the body of a post as a text.
func (s *Server) readText(w http.ResponseWriter, r *http.Request) (string, *refusal) {
	if why := checkEncoding(w, r); why != nil {
		return "", why
	}
	textBytes := s.cfg.Limits.TextBytes
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.Limits.HandshakeTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(textBytes+len(byteOrderMark))))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", &refusal{code: chat.TextTooLong}
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return "", &refusal{code: chat.BadText, status: http.StatusRequestTimeout, text: "the body did not come in time"}
	case err != nil: // the status is not 408, because that would invite the client to try again, which would not help
		w.Header().Set("Connection", "close")
		return "", &refusal{code: chat.BadText, text: "the body cannot be read"}
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("\xfe\xff")), utf8.Valid(body) && bytes.IndexByte(body, 0) >= 0:
		return "", &refusal{code: chat.BadText, text: "the body looks like UTF-16; it must be UTF-8"}
	case !utf8.Valid(body):
		return "", &refusal{code: chat.BadText, text: "the body is not UTF-8"}
	}
	text, wrong := chat.CleanText(strings.TrimPrefix(string(body), byteOrderMark), textBytes)
	if wrong != nil {
		return "", &refusal{code: wrong}
	}
	return text, nil
}

// checkEncoding refuses a body that is compressed, or that is in another character set than UTF-8, as its
// header says. US-ASCII is a part of UTF-8.
func checkEncoding(w http.ResponseWriter, r *http.Request) *refusal {
	for coding := range strings.SplitSeq(strings.Join(r.Header["Content-Encoding"], ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			w.Header().Set("Accept-Encoding", "identity") // RFC 9110 section 12.5.3
			return &refusal{code: chat.BadEncoding}
		}
	}
	_, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // a type that cannot be read names no character set
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	}
	return &refusal{code: chat.BadEncoding}
}
