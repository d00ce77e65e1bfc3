package config

import "strings"

// Nearest returns the candidate that was probably meant by name: the one with the fewest typing mistakes. It returns "" if even that one
// has more than two.
func Nearest(name string, candidates []string) string {
	best := nearest(name, candidates)
	if distance(name, best) > 2 {
		return ""
	}
	return best
}

// nearest returns the candidate with the fewest typing mistakes compared with name. If a candidate has a dot, nearest also compares the
// part after the dot, so that it finds a key that was written outside its section.
func nearest(name string, candidates []string) string {
	best, least := "", -1
	for _, c := range candidates {
		d := distance(name, c)
		if i := strings.LastIndexByte(c, '.'); i >= 0 {
			d = min(d, distance(name[strings.LastIndexByte(name, '.')+1:], c[i+1:]))
		}
		if least < 0 || d < least {
			best, least = c, d
		}
	}
	return best
}

// distance returns how many letters must be inserted, deleted, changed or swapped with their neighbour to turn a into b (optimal string
// alignment).
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1) // the two rows above the row that is being filled
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
