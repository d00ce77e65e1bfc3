package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// DefaultFile is read when Sources names no file, if it exists.
const DefaultFile = "config.yaml"

const envPrefix = "DOYASA_"

// publishedEnv is not a setting. In this variable docker-compose.yml passes the address at which the engine publishes the port, so that
// the log can name the address to open.
const publishedEnv = envPrefix + "PUBLISHED"

// Sources is where settings come from. Flags override the environment, which overrides the file, which overrides the defaults.
type Sources struct {
	File    string            // as given by the user; "": DefaultFile if it exists
	Environ []string          // NAME=value; if a name occurs several times the last one counts. An empty value counts as not set.
	Flags   map[string]string // by Key.Path: the text of each flag that was given
}

// Loaded is a configuration that passed every check, with the place that each value came from.
type Loaded struct {
	Config
	File             string           // the file that was read, "" for none
	Notices          []string         // for the log, one line each, in the order found
	Published        string           // host:port where an engine publishes the port, "" if unknown
	Certificate      *tls.Certificate // what TLS.Load returned, nil without TLS
	CertificateFiles [2]os.FileInfo   // what TLS.Stat returned before TLS.Load was called

	origin map[string]string // by Key.Path: the place of a value that is not a default, such as "config.yaml:12", "DOYASA_LISTEN" or "--listen"
}

// From returns the place that the value of a key came from, "" for the default.
func (l *Loaded) From(k Key) string { return l.origin[k.Path] }

// Load merges the sources and checks the result. The error has one line for each mistake, which names the place, the key, the value seen
// and what is allowed. Reading goes on after a mistake, so that one run shows all of them.
func Load(s Sources) (*Loaded, error) {
	l := &Loaded{Config: Default(), origin: map[string]string{}}
	var errs []error
	if err := l.readSettings(s.File); err != nil {
		errs = append(errs, err)
	}
	if err := l.readEnviron(s.Environ); err != nil {
		errs = append(errs, err)
	}
	for _, k := range keys {
		if text, ok := s.Flags[k.Path]; ok {
			if err := l.set(k, text, "--"+k.Flag()); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) == 0 {
		errs = l.check()
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return l, nil
}

// set gives a key the value in text, which came from place.
func (l *Loaded) set(k Key, text, place string) error {
	if err := k.set(&l.Config, text); err != nil {
		return fmt.Errorf("%s: %s is %q: %w", place, k.Path, Hidden(text), err)
	}
	if k.Path == syncKey.Path {
		l.notice("%s: %s has no effect any more and can be removed: a message is always on the disk before anybody sees it", place, k.Path)
		return nil
	}
	l.origin[k.Path] = place
	return nil
}

func (l *Loaded) notice(format string, args ...any) {
	l.Notices = append(l.Notices, fmt.Sprintf(format, args...))
}

// serviceLink matches the variables that container platforms set for a neighbour called doyasa: those of Kubernetes services and of Docker
// links. DOYASA_PORT is one of them, and docker-compose.yml reads it as the port to publish.
var serviceLink = regexp.MustCompile(`^DOYASA_(PORT|NAME|ENV_.*|(.*_)?SERVICE_(HOST|PORT(_.*)?)|(.*_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

func (l *Loaded) readEnviron(environ []string) error {
	env := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) {
			env[name] = text
		}
	}
	var errs []error
	for _, k := range append(Keys(), syncKey) {
		if text := env[k.Env()]; text != "" {
			errs = append(errs, l.set(k, text, k.Env()))
		}
		delete(env, k.Env())
	}
	l.Published = parsePublished(env[publishedEnv])
	delete(env, publishedEnv)
	var unknown []string
	for name, text := range env {
		// A Kubernetes service whose name begins with doyasa- also sets DOYASA_…_PORT to an address with a protocol.
		if !serviceLink.MatchString(name) && !(strings.HasSuffix(name, "_PORT") && strings.Contains(text, "://")) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		k, _ := findKey(nearest(strings.ToLower(strings.TrimPrefix(name, envPrefix)), paths()))
		l.notice("no setting is called %s; the nearest is %s", name, k.Env())
	}
	return errors.Join(errs...)
}

// readSettings reads the settings of a file into l. A path given by the user must exist.
func (l *Loaded) readSettings(path string) error {
	given := path != ""
	if !given {
		path = DefaultFile
	}
	b, err := readFile(path, maxFile)
	if errors.Is(err, os.ErrNotExist) && !given {
		return nil
	}
	if err != nil {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return fmt.Errorf("%s: is a folder, not a file (Docker makes one when the file to mount is missing)", path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s: there is no such file", path)
		}
		if unfit, ok := errors.AsType[unfitError](err); ok {
			return fmt.Errorf("%s: %w", path, unfit)
		}
		return fmt.Errorf("%s: cannot read it as user %d (chmod a+r lets everybody): %w", path, os.Getuid(), errors.Unwrap(err))
	}
	l.File = path
	settings, err := parseFile(path, b)
	if len(settings) == 0 && err == nil {
		l.notice("%s sets nothing: defaults", path)
	}
	errs := []error{err}
	for _, s := range settings {
		errs = append(errs, l.set(s.key, s.text, fmt.Sprintf("%s:%d", path, s.line)))
	}
	return errors.Join(errs...)
}
