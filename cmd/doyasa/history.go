package main

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/doyasa/doyasa/internal/config"
	"github.com/doyasa/doyasa/internal/journal"
	"github.com/doyasa/doyasa/internal/server"
)

// journalOptions are what the settings say about a durable history.
func journalOptions(l *config.Loaded) journal.Options {
	h := l.History
	return journal.Options{
		Limits: journal.Limits{
			Messages:   h.Messages,
			Bytes:      int(h.Bytes),
			TotalBytes: int(h.TotalBytes),
			MaxAge:     h.MaxAge,
		},
		Dir:          h.Dir,
		Sync:         h.Sync,
		MessageBytes: int(l.Limits.MessageBytes),
		NewEpoch:     func() string { return uuid.Must(uuid.NewV7()).String() },
	}
}

// historyStats are the figures of a durable history for /metrics.
func historyStats(j *journal.Journal) func() server.HistoryStats {
	return func() server.HistoryStats {
		s := j.Stats()
		return server.HistoryStats{DiskBytes: s.DiskBytes, Messages: s.Messages, Bytes: s.Bytes, Rooms: s.Rooms, Queued: s.Queued, Failed: s.Failed}
	}
}

// openHistory opens the durable history, or returns nil if there is to be none.
func openHistory(l *config.Loaded, log zerolog.Logger) (*journal.Journal, error) {
	if l.History.Store == "memory" {
		return nil, nil
	}
	o := journalOptions(l)
	o.Report = func(err error) { log.Error().Msg(err.Error()) }
	var j *journal.Journal
	var err error
	where, key := l.History.Dir, "history.dir"
	if l.History.Store == "nats" {
		where, key = journal.Shown(l.History.NATSURL), "history.nats_url"
		j, err = journal.OpenShared(l.History.NATSURL, o)
	} else {
		j, err = journal.OpenEmbedded(o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s := j.Stats() // what is there, before anybody comes
	log.Info().Str("where", where).Int("rooms", s.Rooms).Int("messages", s.Messages).Msg("the history is kept")
	return j, nil
}
