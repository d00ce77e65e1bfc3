#!/bin/sh
# Runs the tests and says all the while what it is doing: "test.sh short" for make test, "test.sh all" for make test-all.
# Each line begins with the seconds since the start. It installs nothing.
cd "$(dirname "$0")/.." || exit 1
which=${1:-short}
began=$(date +%s)

elapsed() { echo $(($(date +%s) - began)); }
say() { printf '%4d s  %s\n' "$(elapsed)" "$*"; }

# What this machine lacks. The tests look for themselves; this tells beforehand, in one line each, which of them will be skipped.
# With CI=true they fail instead.
found() { for program; do command -v "$program" >/dev/null 2>&1 && return; done; return 1; }
lacks() { say "$1 is not here: $2 skipped"; }
found chromium chromium-browser google-chrome || lacks chromium "the browser tests are"
found node || lacks node "the tests of the page's modules are"
found nginx || lacks nginx "the tests behind nginx are"
found caddy || lacks caddy "the tests behind caddy are"
found haproxy || lacks haproxy "the tests behind haproxy are"
found strace || lacks strace "the tests of what is synced to disk, and when, are"
found curl || lacks curl "the tests of the README's commands are"
/usr/bin/python3 -c 'import websockets' >/dev/null 2>&1 || lacks python3-websockets "the tests with Python's client are"
[ "$(id -u)" = 0 ] || lacks "the right to mount" "the tests of a full disk are"
race=-race
if ! found "${CC:-gcc}" && ! found clang; then
	race= # Go needs a C compiler for it
	say "a C compiler is not here: everything runs without the race detector"
fi
if [ "$which" = all ]; then
	docker info >/dev/null 2>&1 || lacks "a container engine" "the tests of docker-compose.yml are"
fi

binaries=$(mktemp -d) || exit 1
export DOYASA_BINARIES="$binaries"
clock=
trap 'kill $clock 2>/dev/null; rm -rf "$binaries"' EXIT
trap 'exit 130' INT TERM

failed=
# step TITLE FOLDER COMMAND...: runs the command there and says how it ended.
step() {
	title=$1 folder=$2
	shift 2
	say "$title"
	start=$(elapsed)
	(while sleep 30 >/dev/null 2>&1; do say "  still: $title"; done) &
	clock=$!
	(cd "$folder" && "$@")
	status=$?
	kill $clock
	if [ $status = 0 ]; then
		say "$title: ok after $(($(elapsed) - start)) s"
	else
		say "$title: FAILED after $(($(elapsed) - start)) s"
		failed="$failed
       $title"
	fi
}

# What has goroutines runs under the race detector.
concurrent="./hub/... ./internal/..."
missing=$({ go list -deps -f '{{if .Stale}}x{{end}}' ./cmd/doyasa; go list $race -deps -f '{{if .Stale}}x{{end}}' $concurrent; } | grep -c x)
if [ "$missing" -gt 50 ]; then
	say "the first run compiles $missing packages, which takes two to four minutes on two cores; the next runs have them"
fi
step "compile" . go build -o "$binaries/doyasa" ./cmd/doyasa
[ -z "$failed" ] || exit 1
if [ "$which" = short ]; then
	step "hub and internal" . go test $race -short -vet=off -shuffle=on -timeout 90m $concurrent
	step "wsproto, static, cmd" . go test -short -vet=off -shuffle=on -timeout 90m ./wsproto/... ./static/... ./cmd/...
	step "e2e, the binary from outside" e2e go test -short -vet=off -shuffle=on -timeout 90m ./...
else
	step "compile for the race detector" . go build $race -o "$binaries/doyasa-race" ./cmd/doyasa
	step "compile with the portable sockets" . go build -tags portable -o "$binaries/doyasa-portable" ./cmd/doyasa
	step "all packages" . go test $race -shuffle=on -timeout 90m ./...
	step "e2e, the binary from outside" e2e go test $race -shuffle=on -timeout 90m ./...
	step "e2e/peers, rooms on other libraries" e2e/peers go test -shuffle=on -timeout 90m ./...
	cat e2e/hostile/table.txt
fi
if [ -n "$failed" ]; then
	say "FAILED:$failed"
	exit 1
fi
say "all passed"
