/* One connection to /ws/stream. */
#ifndef MNK_API_SESSION_PRIV_H
#define MNK_API_SESSION_PRIV_H

#include "api/streams_priv.h"

typedef struct {
  gint refs; /* the socket's, and that of a look into the store */
  MnkApi *api;
  MnkKey *key;      /* owned; NULL: none is asked for */
  MnkWebSocket *ws; /* NULL: closed */
  MnkEntry *entry;  /* NULL: not begun, or taken over */
  MnkReader *reader;
  MnkSettings *settings; /* of the stream that is to begin; NULL: the server's own */
  gboolean binary;       /* announced by hello */
  gboolean over;         /* nothing more is taken: end, or the stream's own end */

  GBytes *held; /* a frame that came before the stream could take it; the socket waits, too */
  MnkPushFrame held_frame;

  /* acks that wait because the client reads slowly */
  guint acks, frame_count, ack_timer;
  gint64 frame_index; /* of the last of them; -1: it had none */
} MnkSession;

/* ---- ws_stream.c ---- */

MnkSession *mnk_session_ref(MnkSession *session);
void mnk_session_unref(MnkSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkSession, mnk_session_unref)
/* Sends a message; a client that does not even leave room for it is cut. */
void mnk_session_send(MnkSession *session, const GString *json);
/* Settings of its stream, running or to begin. Borrowed. */
const MnkSettings *mnk_session_settings(const MnkSession *session);
/* "error" with a sentence. field NULL: the member that the message begins with. */
void mnk_session_error(MnkSession *session, const GError *error, const char *field);
/* Takes the entry up: its captions above since come from now on, once mnk_reader_start was called.
 */
gboolean mnk_session_join(MnkSession *session, MnkEntry *entry, gint64 since, gboolean take_over,
                          GError **error);
/* Begins a stream; row NULL: a new one. Takes spec. */
gboolean mnk_session_begin(MnkSession *session, const char *id, MnkSpec *spec,
                           const MnkStreamRow *row, gint64 since, GError **error);

/* ---- ws_open.c: hello and resume ---- */

void mnk_session_hello(MnkSession *session, MnkPushMessage *message);
void mnk_session_resume(MnkSession *session, MnkPushMessage *message);

/* ---- ws_frames.c ---- */

void mnk_session_frame(MnkSession *session, const MnkPushMessage *message);
void mnk_session_packet(MnkSession *session, const guint8 *bytes, gsize length);
/* The stream takes frames now. */
void mnk_session_ready(gpointer user);
/* Acks that wait go out, however slowly the client reads. */
void mnk_session_send_acks(MnkSession *session);

#endif
