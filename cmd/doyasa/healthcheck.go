package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/doyasa/doyasa/internal/config"
)

// healthTimeout bounds the time of the whole check, including the time to connect.
const healthTimeout = 3 * time.Second

func newHealthcheck(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the server that runs with the same settings whether it is alive",
		Long: "Asks /healthz of the server that runs with the same settings, on ops_listen if that is set, else on listen.\n" +
			"Exit status 0: the server is alive. 1: it is not, with the reason on one line. A health check that needs no shell works in an\n" +
			"image that contains nothing but doyasa.",
	}
	s := addSettings(c, environ, "listen", "ops_listen", "tls.cert", "tls.key")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := s.load()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), healthTimeout)
		defer cancel()
		address, err := askHealth(ctx, l.Config)
		if err != nil {
			return fmt.Errorf("unhealthy: %w", err)
		}
		fmt.Fprintf(c.OutOrStdout(), "healthy (%s)\n", address)
		return nil
	}
	return c
}

// askHealth returns the address that it asked, and no error if the answer was 200.
func askHealth(ctx context.Context, c config.Config) (address string, err error) {
	address = c.Listen
	if c.OpsListen != "" {
		address = c.OpsListen
	}
	if strings.HasSuffix(address, ":0") {
		return address, fmt.Errorf("%s is any free port; set a port that can be asked", address)
	}
	// Dial the address as it is configured: net.Dial takes an empty or unspecified host for this machine, and a URL cannot express that.
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	// The certificate is for the public name and not for localhost, so it cannot be verified here.
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := http.Client{Transport: transport}
	scheme := "http"
	if c.TLS != (config.TLS{}) && c.OpsListen == "" {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://localhost/healthz", nil)
	if err != nil {
		return address, err
	}
	response, err := client.Do(request)
	if err != nil {
		return address, errors.Unwrap(err) // leave out the URL, because its host is not the address that was asked
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return address, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return address, nil
}
