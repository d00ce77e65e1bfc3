package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/doyasa/doyasa/internal/config"
)

// settings are the flags of one command that reads the configuration: --config, and one for every key that the command uses.
type settings struct {
	environ []string
	file    string
	given   map[string]string // by key path: the text of each flag that was given
}

// addSettings gives cmd a flag for each of the keys, or for all keys if none is named. The value of a flag is checked while the command
// line is read. File and environment may have every key, so that a command works with the same settings as the server.
func addSettings(cmd *cobra.Command, environ []string, paths ...string) *settings {
	s := &settings{environ: environ, given: map[string]string{}}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Var(fileFlag{&s.file}, "config", "settings file (default ./config.yaml if it exists)")
	for _, k := range config.Keys() {
		if len(paths) == 0 || slices.Contains(paths, k.Path) {
			flags.Var(keyFlag{k, s.given}, k.Flag(), k.Help)
		}
	}
	return s
}

// load merges defaults, file, environment and flags.
func (s *settings) load() (*config.Loaded, error) {
	return config.Load(config.Sources{File: s.file, Environ: s.environ, Flags: s.given})
}

var errTwice = errors.New("given twice")

// keyFlag is the flag of one key (pflag.Value). It may be given once.
type keyFlag struct {
	key   config.Key
	given map[string]string
}

func (f keyFlag) Type() string { return f.key.Kind() }

func (f keyFlag) String() string {
	if text, ok := f.given[f.key.Path]; ok {
		return text
	}
	return f.key.Default()
}

func (f keyFlag) Set(text string) error {
	if _, ok := f.given[f.key.Path]; ok {
		return errTwice
	}
	if err := f.key.Check(text); err != nil {
		return err
	}
	f.given[f.key.Path] = text
	return nil
}

// fileFlag is --config (pflag.Value). An empty name is an error, because it most likely comes from --config "$FILE" while FILE is not set.
type fileFlag struct{ p *string }

func (f fileFlag) Type() string   { return "file" }
func (f fileFlag) String() string { return *f.p }

func (f fileFlag) Set(text string) error {
	switch {
	case text == "":
		return errors.New("want the name of a file")
	case *f.p != "":
		return errTwice
	}
	*f.p = text
	return nil
}
