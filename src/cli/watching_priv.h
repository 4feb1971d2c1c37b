/* A source that is watched to its end through a worker: what `caption` and `ask` share. */
#ifndef MNK_CLI_WATCHING_PRIV_H
#define MNK_CLI_WATCHING_PRIV_H

#include "cli/cli.h"
#include "stream/stream.h"

typedef struct {
  const MnkSettings *settings;
  GMainLoop *loop;
  MnkHttpClient *client;
  MnkBackend *backend; /* remote; NULL: none */
  MnkWorkers *workers;
  MnkStore *store; /* NULL: nothing is kept */
  MnkStream *stream;
  MnkProgress *progress;
  gint64 duration_ms; /* <= 0: not known, or endless */
  gint64 started_us, first_caption_us;
  GError *failure; /* the first one */
} MnkWatching;

void mnk_watching_init(MnkWatching *watching, const MnkSettings *settings);
/* Makes the stream, and its record in the store if there is one. config: source, settings, backend
 * and what else the caller wants; id, workers and store are filled in here. */
gboolean mnk_watching_prepare(MnkWatching *watching, MnkStreamConfig *config,
                              const MnkStreamEvents *events, gpointer user, GError **error);
/* Takes the error and ends the stream. */
void mnk_watching_fail(MnkWatching *watching, GError *error);
/* For the stream's event of that name. */
void mnk_watching_opened(MnkWatching *watching, const char *info_json, gint64 duration_ms);
/* "0:12 of 1:00, 20 %, 11.8 x". Caller frees. */
char *mnk_watching_where(const MnkWatching *watching, gint64 pts_ms);
/* Frees everything but the failure. With MNK_OPT_STATS it then writes one line of JSON to standard
 * error; more, if not NULL, adds its members to it. */
void mnk_watching_end(MnkWatching *watching, void (*more)(MnkJsonWriter *w, gpointer user),
                      gpointer user);

#endif
