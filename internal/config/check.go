package config

import (
	"fmt"
	"net"
	"os"
	"time"
)

// check finds mistakes that cannot be found in a single value: values that contradict each other, and files and folders that cannot be
// used.
func (l *Loaded) check() []error {
	var errs []error
	if l.Limits.PongTimeout >= l.Limits.PingInterval {
		errs = append(errs, l.clash("limits.pong_timeout", "must be shorter than", "limits.ping_interval"))
	}
	if int64(l.Limits.TextBytes) > l.Limits.MessageBytes {
		errs = append(errs, l.clash("limits.text_bytes", "must not be above", "limits.message_bytes"))
	}
	if l.Limits.MessagesPerSecond > 0 && l.Limits.Burst == 0 {
		errs = append(errs, l.clash("limits.burst", "must be at least 1 with", "limits.messages_per_second"))
	}
	if overlap(l.Listen, l.OpsListen) {
		errs = append(errs, l.clash("ops_listen", "must not take the port of", "listen"))
	}
	if l.StaticDir != "" {
		info, err := os.Stat(l.StaticDir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("not a folder")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: want a folder with the page: %w", l.describe("static_dir"), err))
		}
	}
	switch {
	case l.TLS == TLS{}:
	case l.TLS.Cert == "":
		errs = append(errs, l.clash("tls.cert", "must be set with", "tls.key"))
	case l.TLS.Key == "":
		errs = append(errs, l.clash("tls.key", "must be set with", "tls.cert"))
	default:
		l.CertificateFiles = l.TLS.Stat()
		var err error
		if l.Certificate, err = l.TLS.Load(time.Now()); err != nil {
			errs = append(errs, err)
		} else if end := l.Certificate.Leaf.NotAfter; time.Until(end) < 14*day {
			l.notice("the certificate in %s ends %s", l.TLS.Cert, end.UTC().Format(time.DateTime+" UTC"))
		}
	}
	return errs
}

// clash is the error about two keys that contradict each other, with their values and the place that each came from.
func (l *Loaded) clash(a, rule, b string) error {
	return fmt.Errorf("%s %s %s", l.describe(a), rule, l.describe(b))
}

// describe returns a key with its value and the place that it came from.
func (l *Loaded) describe(path string) string {
	k, _ := findKey(path)
	from := l.From(k)
	if from == "" {
		from = "the default"
	}
	return fmt.Sprintf("%s (%s, %s)", path, k.value(&l.Config).yaml(), from)
}

// overlap reports whether a server cannot listen on both a and b: they have the same port, and either the same host or one of them means
// every address of the machine. Port 0 is a different port each time.
func overlap(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	every := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return b != "" && portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}
