package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds the size of a settings file in bytes. The shipped config.yaml has about 3,500 bytes. The YAML parser's time grows with
// the square of the nesting, so with a much larger bound a file could make the start very slow.
const maxFile = 32 * kib

// setting is one key's value in a file.
type setting struct {
	key  Key
	text string
	line int // from 1
}

// parseFile reads the part of YAML that settings need: keys and sections of keys, plain or quoted words on one line, and lists of words.
// It returns the well-formed settings and the joined errors about all other lines, each beginning with name:line. It accepts a byte order
// mark and CRLF, but not UTF-16 and not bytes that are not UTF-8.
func parseFile(name string, b []byte) ([]setting, error) {
	f := file{name: name}
	b, ok := f.plain(b)
	if !ok {
		return nil, errors.Join(f.errs...)
	}
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		f.syntax(err)
		return nil, errors.Join(f.errs...)
	}
	var root ast.Node
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			f.fail(doc.Body, "a second document; want one")
			break
		}
		root = doc.Body
	}
	f.mapping(root, "")
	return f.settings, errors.Join(f.errs...)
}

// file collects the settings and the errors of one file.
type file struct {
	name     string
	settings []setting
	errs     []error
}

// plain returns the text without a byte order mark and with LF as its only line end. ok is false if the text cannot be YAML.
func (f *file) plain(b []byte) (text []byte, ok bool) {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) || bytes.IndexByte(b, 0) >= 0 {
		f.errorf(1, "UTF-16 or not text; want UTF-8")
		return nil, false
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")) // YAML 1.2 section 5.4
	n := 0
	for line := range bytes.Lines(b) {
		n++
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		switch {
		case !utf8.Valid(line):
			f.errorf(n, "not UTF-8")
		case bytes.IndexByte(indent, '\t') >= 0:
			f.errorf(n, "indented with a tab; want spaces")
		}
	}
	return b, f.errs == nil
}

// mapping reads the keys of the file (section "") or of a section.
func (f *file) mapping(n ast.Node, section string) {
	switch n := n.(type) {
	case nil:
	case *ast.NullNode: // all keys of the section are commented out
	case *ast.MappingNode:
		for _, v := range n.Values {
			f.entry(v, section)
		}
	case *ast.MappingValueNode:
		f.entry(n, section)
	default:
		where := "the file"
		if section != "" {
			where = section
		}
		f.fail(n, "%s is %s; want lines of the form key: value", where, describe(n))
	}
}

// entry reads one key, or one section of them.
func (f *file) entry(e *ast.MappingValueNode, section string) {
	key, ok := e.Key.(*ast.StringNode)
	if !ok {
		f.fail(e.Key, "%s for a key; want the name of a setting", describe(e.Key))
		return
	}
	path := key.Value
	if section != "" {
		path = section + "." + path
	}
	if section == "" && isSection(path) {
		f.mapping(e.Value, path)
		return
	}
	k, ok := findKey(path)
	if path == syncKey.Path {
		k, ok = syncKey, true
	}
	if !ok || section == "" && strings.Contains(path, ".") {
		f.unknown(key, path)
		return
	}
	if text, ok := f.scalar(k, e.Value); ok {
		f.settings = append(f.settings, setting{k, text, key.GetToken().Position.Line})
	}
}

// unknown is the error about a key that does not exist. It names the key that was probably meant.
func (f *file) unknown(at ast.Node, path string) {
	if _, ok := findKey(path); ok {
		section, name, _ := strings.Cut(path, ".")
		f.fail(at, "unknown key %q; write %s: on a line of its own and %s: indented below it", path, section, name)
		return
	}
	names := paths()
	for _, k := range keys {
		if section, _ := k.section(); section != "" && !strings.Contains(path, ".") {
			names = append(names, section)
		}
	}
	shown := Hidden(path) // the parser may have taken an address with a password for a key
	f.fail(at, "unknown key %q; the nearest is %s", shown, nearest(shown, names))
}

// scalar returns a key's value as text. A quoted value is text in YAML, so it cannot be a whole number.
func (f *file) scalar(k Key, n ast.Node) (text string, ok bool) {
	want := map[string]string{
		"text":     `one word or "quoted text"`,
		"integer":  "a whole number without quotes",
		"size":     "a size such as 65536 or 8MiB",
		"duration": "a duration such as 5s",
	}[k.Kind()]
	if l, ok := k.value(new(Config)).(list); ok {
		want = fmt.Sprintf("a list such as [%q]", l.example)
	}
	seq, isSeq := n.(*ast.SequenceNode)
	if isSeq && k.Kind() == "list" {
		var items []string
		for _, item := range seq.Values {
			s, ok := item.(*ast.StringNode)
			if !ok || s.Value == "" || strings.Contains(s.Value, ",") {
				f.fail(item, "%s has %s in it; want %s", k.Path, describe(item), want)
				return "", false
			}
			items = append(items, s.Value)
		}
		return strings.Join(items, ","), true
	}
	switch n := n.(type) {
	case *ast.StringNode:
		quoted := n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
		if k.Kind() != "list" && !(quoted && k.Kind() == "integer") {
			return n.Value, true
		}
	case *ast.IntegerNode, *ast.FloatNode: // use the text as written, because a room may be called 007, and an error must show 0x1F as 0x1F
		if k.Kind() != "list" {
			return n.GetToken().Value, true
		}
	}
	f.fail(n, "%s is %s; want %s", k.Path, describe(n), want)
	return "", false
}

// describe returns the kind of a node, and its value if that is short.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		return "empty (null)"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", Hidden(n.Value))
	case *ast.IntegerNode, *ast.FloatNode:
		return "the number " + n.GetToken().Value
	case *ast.BoolNode:
		return "the truth value " + n.GetToken().Value
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias"
	case *ast.TagNode:
		return "a tagged value"
	case *ast.LiteralNode:
		return "text of several lines"
	}
	return "a " + strings.ToLower(n.Type().YAMLName())
}

func (f *file) syntax(err error) {
	var e interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &e) || e.GetToken() == nil {
		f.errorf(1, "not YAML: %s", strings.SplitN(err.Error(), "\n", 2)[0])
		return
	}
	f.errorf(e.GetToken().Position.Line, "not YAML: %s", e.GetMessage())
}

func (f *file) fail(at ast.Node, format string, args ...any) {
	f.errorf(at.GetToken().Position.Line, format, args...)
}

func (f *file) errorf(line int, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s:%d: %s", f.name, line, fmt.Sprintf(format, args...)))
}
