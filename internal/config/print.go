package config

import (
	"fmt"
	"strings"
)

// YAML returns the configuration in effect as a file that Load reads back to the same values. A comment after each value that is not a
// default names the place that it came from.
func (l *Loaded) YAML() string {
	var b strings.Builder
	last := ""
	for _, k := range keys {
		section, name := k.section()
		if section != last {
			fmt.Fprintf(&b, "%s:\n", section)
		}
		last = section
		if section != "" {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s: %s", name, k.value(&l.Config).yaml())
		if from := l.From(k); from != "" {
			fmt.Fprintf(&b, "  # %s", from)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
