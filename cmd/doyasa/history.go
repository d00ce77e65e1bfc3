package main

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/journal"
	"github.com/doyasa/doyasa/internal/server"
)

// journalOptions returns the settings of a durable history.
func journalOptions(l *config.Loaded) journal.Options {
	h := l.History
	return journal.Options{
		Limits: journal.Limits{
			Messages:   h.Messages,
			Bytes:      int(h.Bytes),
			TotalBytes: int(h.TotalBytes),
			MaxAge:     h.MaxAge,
		},
		Dir:      h.Dir,
		NewEpoch: func() string { return uuid.Must(uuid.NewV7()).String() },
	}
}

// historyStats returns the figures of a durable history for /metrics.
func historyStats(j *journal.Journal) func() server.HistoryStats {
	return func() server.HistoryStats {
		s := j.Stats()
		return server.HistoryStats{DiskBytes: s.DiskBytes, Messages: s.Messages, Bytes: s.Bytes, Rooms: s.Rooms, Queued: s.Queued,
			Failed: s.Failed}
	}
}

// openHistory opens the durable history, or returns nil if the history is in memory.
func openHistory(l *config.Loaded, log zerolog.Logger) (*journal.Journal, error) {
	if l.History.Store == "memory" {
		return nil, nil
	}
	o := journalOptions(l)
	o.Report = func(err error) { log.Error().Msg(err.Error()) }
	o.Mended = func() { log.Info().Str("where", l.History.Dir).Msg("messages are stored again") }
	j, err := journal.Open(o)
	if err != nil {
		return nil, fmt.Errorf("history.dir: %w", err)
	}
	s := j.Stats() // the figures are read before the first client can change them
	log.Info().Str("where", l.History.Dir).Int("rooms", s.Rooms).Int("messages", s.Messages).Msg("the history is kept")
	return j, nil
}
