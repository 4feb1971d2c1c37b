/* What the two halves tell each other: contents of the messages, as JSON both ways. */
#ifndef MNK_LOCAL_MESSAGES_PRIV_H
#define MNK_LOCAL_MESSAGES_PRIV_H

#include "ipc/ipc.h"
#include "local/local.h"
#include "wire/wire.h"

enum {
  MNK_CLIP_FRAMES_MAX = 64,
  MNK_CLIP_BYTES_MAX = 64 << 20,    /* of the JPEGs of one clip */
  MNK_CALL_FRAMES_MAX = 64,         /* of a batch */
  MNK_CALL_TURNS_MAX = 64,          /* of talk */
  MNK_SNAPSHOT_BYTES_MAX = 1 << 30, /* of a stream's memory */
  MNK_CLIP_CACHE = 48,              /* frames of a stream whose tokens the worker keeps at hand */
};

/* MNK_MSG_HELLO: what holds for the whole worker. */
typedef struct {
  char *model, *mmproj, *indexer; /* indexer "": none */
  guint context, sequences, image_tokens, micro_batch;
  gint64 threads, threads_batch;
  gboolean gpu, sandbox;
  guint64 max_memory;
  guint log_level;
} MnkModelHello;

/* MNK_MSG_OPEN, with the snapshot's bytes in its fd, and MNK_MSG_SET: how a stream is remembered.
 */
typedef struct {
  char *id; /* for the log */
  guint buffer_size, frames_max, long_max, recent;
  float match_ratio, token_drop;
  guint64 detail_bytes_max;
  guint token_memory; /* 0: none; else MnkTokenMemoryMode + 1 */
  guint mem_tokens, cap_counts;
  guint64 snapshot; /* bytes */
} MnkModelStream;

/* MNK_MSG_CLIP. */
typedef struct {
  gint64 pts_ms;
  guint64 length; /* bytes */
  gboolean cut;
} MnkModelFrame;
typedef struct {
  guint number;
  GArray *frames; /* of MnkModelFrame */
} MnkModelClip;

/* MNK_MSG_CLIPPED. */
typedef struct {
  guint number;
  guint64 order;
  double ms;             /* that the tower was busy */
  GArray *encoded;       /* of gboolean, one for each frame */
  MnkLocalMemory memory; /* frames, encoded, left_out, waiting are not told */
} MnkModelClipped;

/* MNK_MSG_ASK, _LIKELY and _CAPTION: those members that mean something to each. */
typedef struct {
  guint number;
  char *question, *log, *lang;
  char *context, *running, *known, *wish;
  guint router, topk, recent, tokens_max, visual_max, history, n_frames;
  float margin, temperature;
  guint seed;
  gint64 deadline_us;
  GArray *turns;  /* of MnkTurnOfTalk, owned */
  GArray *frames; /* of MnkModelPlace */
} MnkModelCall;
typedef struct {
  guint index; /* in the batch */
  gint64 pts_ms;
} MnkModelPlace;

/* MNK_MSG_ANSWER. */
typedef struct {
  guint number;
  GError *error; /* NULL: none */
  MnkLocalAnswer answer;
  float probability;
  gint64 pts_ms;
} MnkModelAnswer;

/* MNK_MSG_SAVED. */
typedef struct {
  guint number;
  guint64 length, order;
  GError *error;
} MnkModelSaved;

/* MNK_MSG_READY. */
typedef struct {
  guint frame_tokens, pair, dim;
} MnkModelReady;

void mnk_model_hello_clear(MnkModelHello *hello);
void mnk_model_stream_clear(MnkModelStream *stream);
void mnk_model_clip_clear(MnkModelClip *clip);
void mnk_model_clipped_clear(MnkModelClipped *clipped);
void mnk_model_call_init(MnkModelCall *call);
void mnk_model_call_clear(MnkModelCall *call);
void mnk_model_call_add_turn(MnkModelCall *call, const char *question, const char *answer);
void mnk_model_answer_init(MnkModelAnswer *answer);
void mnk_model_answer_clear(MnkModelAnswer *answer);

void mnk_model_hello_write(const MnkModelHello *hello, GString *out);
void mnk_model_stream_write(const MnkModelStream *stream, GString *out);
void mnk_model_clip_write(const MnkModelClip *clip, GString *out);
void mnk_model_clipped_write(const MnkModelClipped *clipped, GString *out);
void mnk_model_call_write(const MnkModelCall *call, GString *out);
void mnk_model_answer_write(const MnkModelAnswer *answer, GString *out);
void mnk_model_saved_write(const MnkModelSaved *saved, GString *out);
void mnk_model_restored_write(const MnkLocalMemory *memory, GString *out);
void mnk_model_ready_write(const MnkModelReady *ready, GString *out);
void mnk_model_counters_write(const MnkLocalCounters *counters, GString *out);
void mnk_model_number_write(guint number, GString *out);                  /* _SAVE, _CANCEL */
void mnk_model_piece_write(guint number, const char *text, GString *out); /* _PIECE */
void mnk_model_error_write(const GError *error, GString *out);            /* _ENDED */

/* All of them: TRUE, and out is to be cleared; or FALSE with an error, and out is clear. */
gboolean mnk_model_hello_read(const MnkJsonValue *value, MnkModelHello *out, GError **error);
gboolean mnk_model_stream_read(const MnkJsonValue *value, MnkModelStream *out, GError **error);
gboolean mnk_model_clip_read(const MnkJsonValue *value, MnkModelClip *out, GError **error);
gboolean mnk_model_clipped_read(const MnkJsonValue *value, MnkModelClipped *out, GError **error);
gboolean mnk_model_call_read(const MnkJsonValue *value, MnkModelCall *out, GError **error);
gboolean mnk_model_answer_read(const MnkJsonValue *value, MnkModelAnswer *out, GError **error);
gboolean mnk_model_saved_read(const MnkJsonValue *value, MnkModelSaved *out, GError **error);
gboolean mnk_model_restored_read(const MnkJsonValue *value, MnkLocalMemory *out, GError **error);
gboolean mnk_model_ready_read(const MnkJsonValue *value, MnkModelReady *out, GError **error);
gboolean mnk_model_counters_read(const MnkJsonValue *value, MnkLocalCounters *out, GError **error);
gboolean mnk_model_number_read(const MnkJsonValue *value, guint *number, GError **error);
/* *text is borrowed. */
gboolean mnk_model_piece_read(const MnkJsonValue *value, guint *number, const char **text,
                              GError **error);
GError *mnk_model_error_read(const MnkJsonValue *value); /* NULL: none is told */

#endif
