package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bench runs one server under one load.
type bench struct {
	dir                string // the folder of the programs
	serverCPU, loadCPU string
}

// A spec is one run of a round.
type spec struct {
	label  string
	server string   // the program and its arguments
	args   []string // further arguments for doyasa bench
	cpu    string   // the cores, if they are not the usual ones
	procs  int      // GOMAXPROCS; 0 means the number of its cores
}

// report has the fields of the report of doyasa bench that are used here.
type report struct {
	Sent        int64   `json:"sent"`
	Deliveries  int64   `json:"deliveries"`
	PerSecond   float64 `json:"deliveries_per_s"`
	Bytes       float64 `json:"payload_bytes_per_s"`
	OwnCPU      float64 `json:"generator_cpu"`
	Stalled     int     `json:"stalled"`
	StalledGone int     `json:"stalled_gone"`
	Groups      []struct {
		Delivery     latency `json:"delivery"`
		LastReceiver latency `json:"last_receiver"`
	} `json:"groups"`
	Server struct {
		CPUPerDelivery  float64 `json:"cpu_per_delivery_us"`
		CPUPerHandshake float64 `json:"cpu_per_handshake_us"`
		RSSEmpty        int64   `json:"rss_empty"`
		RSSStart        int64   `json:"rss_start"`
		RSSEnd          int64   `json:"rss_end"`
		RSSPeak         int64   `json:"rss_peak"`
		RSSHighest      int64   `json:"-"` // since the process began; see highestRSS
		PerConnection   float64 `json:"rss_per_connection"`
	} `json:"server"`
	Broken []string `json:"broken"`
}

type latency struct {
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
}

// run starts the server, loads it, stops it, and returns the report of the load generator. Broken promises are in the report and
// are not an error.
func (b *bench) run(s spec, args []string) (*report, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	words := strings.Fields(s.server)
	server := exec.Command(filepath.Join(b.dir, words[0]), append(words[1:], serverArgs(words[0], address)...)...)
	server.Dir = b.dir // a folder without config.yaml
	server.Stderr = os.Stderr
	server.Env = os.Environ()
	if s.procs > 0 {
		server.Env = append(server.Env, "GOMAXPROCS="+strconv.Itoa(s.procs))
	}
	cpu := b.serverCPU
	if s.cpu != "" {
		cpu = s.cpu
	}
	if err := startOn(cpu, server); err != nil {
		return nil, err
	}
	defer stop(server)
	if err := waitFor(address); err != nil {
		return nil, err
	}

	args = append([]string{"bench", "--json", "--url", "ws://" + address + "/websocket", "--pid", strconv.Itoa(server.Process.Pid)}, args...)
	if words[0] == "gorilla" {
		args = append(args, "--joined")
	}
	load := exec.Command(filepath.Join(b.dir, "doyasa"), append(args, s.args...)...)
	var stdout, stderr bytes.Buffer
	load.Stdout, load.Stderr = &stdout, &stderr
	if err := startOn(b.loadCPU, load); err != nil {
		return nil, err
	}
	err = load.Wait()
	r := new(report)
	if jsonErr := json.Unmarshal(stdout.Bytes(), r); jsonErr != nil {
		return nil, fmt.Errorf("doyasa %s: %w\n%s", strings.Join(load.Args[1:], " "), errors.Join(err, jsonErr), &stderr)
	}
	r.Server.RSSHighest, err = highestRSS(server.Process.Pid)
	return r, err
}

// highestRSS returns the highest number of resident bytes that a process has had so far.
func highestRSS(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmHWM in %q", status)
}

func serverArgs(program, address string) []string {
	if program != "doyasa" {
		return []string{"-listen", address}
	}
	return []string{"serve", "--listen", address, "--log-level", "error", "--limits-messages-per-second", "0",
		"--limits-rooms-per-minute-per-ip", "0", "--rooms-max", "2000"}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func waitFor(address string) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			nc.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// startOn starts a program that may run only on the given cores. A new process inherits the cores of the thread that starts it,
// so startOn binds its own thread to them for that moment.
func startOn(cpus string, cmd *exec.Cmd) error {
	var set, old unix.CPUSet
	for cpu := range strings.SplitSeq(cpus, ",") {
		n, err := strconv.Atoi(cpu)
		if err != nil {
			return fmt.Errorf("core %q: %w", cpu, err)
		}
		set.Set(n)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("cores %s: %w", cpus, err)
	}
	defer unix.SchedSetaffinity(0, &old)
	return cmd.Start()
}

// stop ends a server with a signal, and kills it if that takes too long.
func stop(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	cmd.Wait()
	kill.Stop()
}
