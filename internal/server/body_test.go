package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/doyasa/doyasa/internal/config"
)

// What a body is encoded in is told as it is: curl on Windows sends the code page of the console, PowerShell UTF-16, and a library may
// compress. A byte order mark of UTF-8 is no part of the text.
func TestPostEncodings(t *testing.T) {
	e := newEdge(t, func(c *config.Config) {
		c.Limits.TextBytes = 10
		c.Limits.MessagesPerSecond = 0
	})
	const gzipped = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x00\x00\x83\x16\xdc\x8c\x01\x00\x00\x00"
	const bom = "\xef\xbb\xbf"
	tests := []struct {
		name, body string
		header     string
		status     int
		code, text string // of the answer; with status 200, text is what is stored
	}{
		{"cp932", "\x82\xc7\x82\xe2\x82\xb3", "", 400, "bad_text", "not UTF-8"},
		{"cp1252", "caf\xe9", "", 400, "bad_text", "not UTF-8"},
		{"EUC-JP", "\xa4\xc9\xa4\xe4", "", 400, "bad_text", "not UTF-8"},
		{"cut in a character", "ど\xe3\x82", "", 400, "bad_text", "not UTF-8"},
		{"a surrogate", "\xed\xa0\x80", "", 400, "bad_text", "not UTF-8"},
		{"UTF-16LE", "\xff\xfea\x00b\x00", "", 400, "bad_text", "UTF-16"},
		{"UTF-16BE", "\xfe\xff\x30\x69", "", 400, "bad_text", "UTF-16"},
		{"UTF-16 without a mark", "a\x00b\x00", "", 400, "bad_text", "UTF-16"},
		{"gzip that is not told", gzipped[:10], "", 400, "bad_text", "not UTF-8"},
		{"control characters", "a\x1b[2J", "", 400, "bad_text", "control characters"},
		{"UTF-8 with a mark", bom + "どやさ", "", 200, "", "どやさ"},
		{"the longest with a mark", bom + "0123456789", "", 200, "", "0123456789"},
		{"one byte more with a mark", bom + "01234567890", "", 413, "text_too_long", "text_bytes"},
		{"one byte more", "01234567890", "", 413, "text_too_long", "text_bytes"},
		{"only a mark", bom, "", 400, "text_empty", "empty"},
		{"a mark inside", "a\ufeffb", "", 200, "", "a\ufeffb"},
		{"gzip", gzipped, "Content-Encoding: gzip", 415, "bad_encoding", "Content-Encoding"},
		{"gzip, but it is not", "x", "Content-Encoding: GZIP", 415, "bad_encoding", "Content-Encoding"},
		{"br", "x", "Content-Encoding: br", 415, "bad_encoding", "Content-Encoding"},
		{"two encodings", "x", "Content-Encoding: identity, deflate", 415, "bad_encoding", "Content-Encoding"},
		{"two fields", "x", "Content-Encoding: identity\r\nContent-Encoding: zstd", 415, "bad_encoding", "Content-Encoding"},
		{"aws-chunked", "x", "Content-Encoding: aws-chunked", 415, "bad_encoding", "Content-Encoding"},
		{"identity", "x", "Content-Encoding: Identity", 200, "", "x"},
		{"no encoding", "x", "Content-Encoding: ", 200, "", "x"},
		{"shift_jis", "\x82\xc7", "Content-Type: text/plain; charset=Shift_JIS", 415, "bad_encoding", "UTF-8"},
		{"utf-16", "x", `Content-Type: text/plain;charset="utf-16"`, 415, "bad_encoding", "UTF-8"},
		{"iso-8859-1", "caf\xe9", "Content-Type: application/x-www-form-urlencoded; charset=ISO-8859-1", 415, "bad_encoding", "UTF-8"},
		{"utf-8", "ど", "Content-Type: text/plain; charset=UTF-8", 200, "", "ど"},
		{"utf8", "ど", `Content-Type: text/plain; charset="utf8"`, 200, "", "ど"},
		{"ascii", "x", "Content-Type: text/plain; charset=us-ascii", 200, "", "x"},
		{"no charset", "ど", "Content-Type: application/x-www-form-urlencoded", 200, "", "ど"},
		{"no type", "ど", "Content-Type: ;;charset", 200, "", "ど"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.header != "" {
				header = append(header, tt.header)
			}
			r, _, body := e.exchange(post("/api/rooms/doyasa/messages", tt.body, header...))
			var got struct{ Code, Text string }
			json.Unmarshal([]byte(body), &got)
			right := strings.Contains(got.Text, tt.text)
			if tt.status == 200 {
				right = got.Text == tt.text
			}
			if r.StatusCode != tt.status || got.Code != tt.code || !right {
				t.Errorf("%d %s, want %d, code %q, and %q", r.StatusCode, body, tt.status, tt.code, tt.text)
			}
			if told := strings.Contains(got.Text, "control"); told != (tt.name == "control characters") {
				t.Errorf("%s: control characters are told of: %v", body, told)
			}
		})
	}
}
