/* The server's end of a worker that runs in a thread of the test. */
#ifndef WORKER_PEER_H
#define WORKER_PEER_H

#include "stream/worker_priv.h"

typedef struct {
  MnkChannel *channel;
  MnkSlots *slots, *inbox;
  GThread *thread;
  GQueue messages; /* received, not yet asked for */
  guint frames_freed;
} Peer;

/* A worker that has been greeted: stub perception, no sandbox. */
Peer *peer_new(void);
/* Quits and waits for it. */
void peer_free(Peer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

void peer_send(Peer *peer, MnkMessageType type, guint32 stream, const char *text);
/* A setup with all defaults, but every frame is kept and nothing is found between frames. */
MnkWatchSetup *peer_setup(void);
void peer_setup_free(MnkWatchSetup *setup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkWatchSetup, peer_setup_free)
void peer_open(Peer *peer, guint32 stream, const MnkWatchSetup *setup, int fd);
void peer_set(Peer *peer, guint32 stream, const MnkWatchLive *live);
/* Waits for a slot when none is free. */
void peer_push(Peer *peer, guint32 stream, GBytes *jpeg, gint64 pts_ms);
/* Until the slots of so many frames have come back. */
void peer_wait_freed(Peer *peer, guint frames);
void peer_mark(Peer *peer, guint32 stream, gint64 number);

/* The next message of a stream of this type, or of any type (0); what comes before it is kept for
 * later calls. The test fails when it does not come. */
MnkMessage *peer_next(Peer *peer, guint32 stream, guint type);
/* Its content, which lives as long as *json. */
const MnkJsonValue *peer_content(const MnkMessage *message, MnkJson **json);
MnkObservation *peer_observation(Peer *peer, guint32 stream);
/* Of all counters that have come, the newest; those of the end when *end_ms is asked for. */
MnkWatchCounters peer_ended(Peer *peer, guint32 stream, gint64 *end_ms);
void peer_assert_identity(const MnkWatchCounters *counters);

/* Pictures: of one colour; and of noise, which is another for each seed. */
GBytes *jpeg_plain(int width, int height, guint8 red, guint8 green, guint8 blue);
GBytes *jpeg_noise(int width, int height, guint32 seed);

#endif
