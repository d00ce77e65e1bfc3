# Each target is one plain command. GOFLAGS, GOMAXPROCS and the like are Go's own.
STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME   ?= 20s

.PHONY: run check test test-all test-faults fuzz soak bench bench-peers

run: ; go run ./cmd/doyasa

check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt the files above"; exit 1; }
	for m in . e2e e2e/peers; do (cd $$m && go vet ./... && $(STATICCHECK) ./...) || exit 1; done && GOOS=darwin go build ./... && GOOS=windows go build ./... && go vet -tags portable ./...

# The most telling tests, in at most three minutes on two cores once everything has been compiled: go test -short.
test: ; @e2e/test.sh short

# Every test, and then what became of every hostile input.
test-all: ; @e2e/test.sh all

# Kills the server 50 times under 1,000 messages a second and 200 clients, and opens every recorded state that a power cut may leave of a
# store. CI runs a short form of both.
test-faults:
	DOYASA_POWER=1 go test -count=1 -timeout 1h -v -run TestPower ./internal/journal
	cd e2e && DOYASA_KILLS=50 DOYASA_CLIENTS=200 DOYASA_RATE=1000 DOYASA_JOINS=10000 go test -count=1 -timeout 1h -v ./faults

# Every fuzz target there is, one after the other.
fuzz:
	@for m in . e2e; do (cd $$m && go list ./... | while read -r package; do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz'); do \
			echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
		done; \
	done) || exit 1; done

# The long forms of tests that CI runs short, and what measures; SOAK=1h for the longest.
soak:
	cd e2e && DOYASA_SOAK=$(or $(SOAK),10m) go test -count=1 -timeout 4h -p 1 -v -run 'TestCuts|TestCatalogue|TestVanish|TestDescriptors|TestPromises|TestCosts|TestHalfOpen|TestOneFloods|TestLong' ./room ./hostile

# Writes bench.txt; keep one from before a change as base.txt and it is compared.
bench:
	go test -run '^$$' -bench . -benchmem -count 6 ./... | tee bench.txt
	@test ! -f base.txt || go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da base.txt bench.txt
bench-peers: # doyasa beside other rooms and the floor; PEERS="-scenario rate,flood" for some of it
	cd e2e/peers && go run ./compare -out ../../docs/performance.json $(PEERS)
