package wsproto

import (
	"bufio"
	"bytes"
	"crypto/fips140"
	"net/http"
	"os"
	"os/exec"
	"testing"
)

// TestFIPS140Only makes an opening handshake in a process in which SHA-1 is forbidden, as server and as client.
func TestFIPS140Only(t *testing.T) {
	if !fips140.Enforced() {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFIPS140Only$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFIPS140Only")) {
			t.Errorf("with GODEBUG=fips140=only: %v\n%s", err, out)
		}
		return
	}
	head := AppendRequest(nil, ClientRequest{Host: "server.example.com", Key: sampleKey, Subprotocols: []string{"doyasa.v1"}})
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	request, err := check(r)
	if err != nil {
		t.Fatal(err)
	}
	response := AppendResponse(nil, request.Key, "doyasa.v1")
	if chosen, n, err := ParseResponse(response, sampleKey, "doyasa.v1"); chosen != "doyasa.v1" || n != len(response) || err != nil {
		t.Errorf("ParseResponse(%q) = %q, %d, %v, want the whole response", response, chosen, n, err)
	}
	if !fips140.Enforced() {
		t.Error("the handshake left the enforcement off")
	}
}
