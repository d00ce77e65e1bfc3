//go:build race

package hub

// raceDetector: tests do less, because everything takes longer.
const raceDetector = true
