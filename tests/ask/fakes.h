/* What the tests of questions share: a store with captions and pictures, a local model and a
 * backend that answer as the test says. */
#ifndef MNK_TESTS_ASK_FAKES_H
#define MNK_TESTS_ASK_FAKES_H

#include "ask/ask_priv.h"

/* ---- The main context ---- */

void fakes_wait(const gboolean *flag);
/* Until the store and all timers that are due have had their turn. */
void fakes_settle(MnkStore *store);

/* ---- A store in a folder of its own ---- */

typedef struct {
  char *folder, *path;
  MnkStore *store;
} Place;
void place_open(Place *place);
void place_close(Place *place);
void place_add_stream(Place *place, const char *stream);
/* id: a number; text NULL: a gap. picture: one in its middle is kept. */
void place_add_caption(Place *place, const char *stream, guint id, gint64 start_ms, gint64 end_ms,
                       const char *text, gboolean picture);
void place_add_picture(Place *place, const char *stream, gint64 pts_ms);

/* ---- The local model: mnk_local_ask, _cancel and _likely are the fake's ---- */

#define FAKE_MEMORY ((MnkLocalStream *)(gpointer) & fake_memory)
extern int fake_memory;

typedef struct {
  MnkLocalStream *stream;
  char *question, *log, *lang;
  GPtrArray *turns;       /* texts: question, answer, question ... */
  MnkLocalQuestion asked; /* numbers alone */
  MnkLocalEvents events;
  MnkLocalLikely likely;
  gpointer user;
  gboolean over, cancelled;
} FakeLocalAsk;

/* All that were asked since the last reset. */
guint fake_local_count(void);
FakeLocalAsk *fake_local(guint index);
void fake_local_reset(void);
void fake_local_piece(guint index, const char *text);
/* With one piece of evidence from 4 s to 6 s. */
void fake_local_answer(guint index, const char *text);
void fake_local_fail(guint index, MnkErrorCode code);
void fake_local_say(guint index, float probability, gint64 pts_ms);

/* ---- A backend ---- */

typedef struct {
  char *question, *log, *system, *lang;
  GArray *times;    /* of gint64: of the pictures */
  GPtrArray *turns; /* as above */
  MnkBackendQuestion asked;
  MnkBackendTalk talk;
  gpointer user;
  gboolean over, cancelled;
} FakeBackendAsk;

typedef struct {
  GPtrArray *asks; /* of FakeBackendAsk */
  guint images_max;
  const char *name;
} FakeBackend;
MnkBackend *fake_backend_new(FakeBackend *fake, const char *name);
FakeBackendAsk *fake_backend(const FakeBackend *fake, guint index);
void fake_backend_piece(const FakeBackend *fake, guint index, const char *text);
void fake_backend_answer(const FakeBackend *fake, guint index, const char *text);
/* With how likely yes and no are. */
void fake_backend_grade(const FakeBackend *fake, guint index, const char *text, double yes,
                        double no);
void fake_backend_fail(const FakeBackend *fake, guint index, MnkErrorCode code);

/* ---- Questions ---- */

typedef struct {
  gboolean ended;
  GString *pieces;
  guint n_pieces;
  MnkAnswer *answer; /* a copy of what matters */
  char *json, *intervals;
  GError *error;
} Ended;
void ended_clear(Ended *ended);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Ended, ended_clear)
extern const MnkAskEvents ended_events;

MnkSettings *fakes_settings(const char *more); /* "name=value,..." */
/* Of the timeline, at the end of it. */
MnkAskRequest fakes_request(const char *stream, const char *question);

#endif
