/* Questions about streams: how they are put, who answers them, and answers that take their time. */
#ifndef MNK_API_QUESTIONS_PRIV_H
#define MNK_API_QUESTIONS_PRIV_H

#include "api/streams_priv.h"

/* ---- reply.c: an answer that takes its time ---- */

/* The answer to one call: whole, or as server-sent events. The head of these goes out with the
 * first event, so that a refusal can still have a status of its own, or after some seconds, from
 * when on a comment now and then shows whoever stands between that the connection lives. */
typedef struct _MnkReply MnkReply;
/* gone: the client is; it must free the reply. Takes over call->closed. */
MnkReply *mnk_reply_new(MnkCall *call, gboolean streamed, void (*gone)(gpointer user),
                        gpointer user);
/* What was not answered is left to the caller. */
void mnk_reply_free(MnkReply *reply);
gboolean mnk_reply_is_streamed(const MnkReply *reply);
/* Streamed alone; name NULL: none. A client that does not read is cut, and then gone. */
void mnk_reply_event(MnkReply *reply, const char *name, const char *data);
/* The last of them. Frees the reply. */
void mnk_reply_end(MnkReply *reply);
/* The whole answer; not streamed. Frees the reply. */
void mnk_reply_json(MnkReply *reply, guint status, const GString *json);
/* A refusal: by its status while nothing has gone out, else as the event "error" with the same
 * body. Frees the reply. */
void mnk_reply_error(MnkReply *reply, const GError *error);

/* ---- asking.c: a question, whether its stream runs or has ended ---- */

/* Members of a body that say how to answer: options of the stream, for this question. */
#define MNK_HOW_FIELDS                                                                             \
  {.name = "history", .type = MNK_FIELD_OPTION}, {.name = "router", .type = MNK_FIELD_OPTION},     \
      {.name = "topk", .type = MNK_FIELD_OPTION},                                                  \
      {.name = "recent_frames", .type = MNK_FIELD_OPTION},                                         \
      {.name = "temperature", .type = MNK_FIELD_OPTION},                                           \
      {.name = "seed", .type = MNK_FIELD_OPTION},                                                  \
      {.name = "answer_tokens", .type = MNK_FIELD_OPTION},                                         \
      {.name = "max_visual_tokens", .type = MNK_FIELD_OPTION}, {                                   \
    .name = "lang", .type = MNK_FIELD_OPTION                                                       \
  }
/* These alone, for objects in bodies. */
extern const MnkField mnk_how_fields[];

typedef struct {
  const char *stream, *question;
  const char *conversation;   /* NULL: a new one */
  const char *system;         /* "" */
  const MnkTurnOfTalk *turns; /* see MnkAskRequest */
  guint n_turns;
  const char *model;       /* as mnk_asked_find has it; NULL: the best there is */
  const MnkJsonValue *how; /* an object with members of MNK_HOW_FIELDS; borrowed until the asking is
                              freed; NULL */
} MnkQuestion;

typedef struct _MnkAsking MnkAsking;
/* The question is copied but for how. */
MnkAsking *mnk_asking_new(MnkCall *call, const MnkQuestion *question, const MnkAskEvents *events,
                          gpointer user);
/* done may come from within: MNK_STATUS_ERROR 429 (the key's tokens), 503 (too many questions), 404
 * (stream, conversation) and the errors of mnk_ask. Tokens are charged to the call's key. */
void mnk_asking_start(MnkAsking *asking);
/* No event comes after this; a question on its way is given up. */
void mnk_asking_free(MnkAsking *asking);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnkAsking, mnk_asking_free)

/* Whether this key may ask (one more) question now. */
gboolean mnk_may_ask(MnkApi *api, MnkKey *key, const char *question, GError **error);

/* ---- asked.c: who can be asked ---- */

typedef enum {
  MNK_ASKED_BEST,
  MNK_ASKED_LOCAL,
  MNK_ASKED_REMOTE,
  MNK_ASKED_TIMELINE,
} MnkAsked;
/* name NULL, "" or "auto": the best. FALSE with MNK_ERROR_NOT_FOUND: none of that name. */
gboolean mnk_asked_find(MnkApi *api, const char *name, MnkAsked *out, GError **error);
/* Fills in who answers: memory, model and backend, by the stream and the settings of the request.
 */
void mnk_asked_choose(MnkApi *api, MnkAsked asked, MnkAskRequest *request);
/* The name that an answer of this one goes by. Borrowed. */
const char *mnk_asked_name(MnkApi *api, MnkAsked asked);

/* ---- videos.c: videos that are asked about by their address ---- */

/* One that waits for a video to be watched. */
typedef struct _MnkVideoWait MnkVideoWait;
/* stream NULL with an error; once, later. */
typedef void (*MnkVideoWatched)(const char *stream, const GError *error, gpointer user);
/* Opens what url names as a stream, under the rules of POST /v1/streams, unless it has been or is
 * being watched for this key. NULL with an error at once. */
MnkVideoWait *mnk_video_watch(MnkCall *call, const char *url, MnkVideoWatched done, gpointer user,
                              GError **error);
void mnk_video_cancel(MnkVideoWait *wait);
/* The stream is deleted: further questions have the video watched anew. */
void mnk_videos_forget(MnkApi *api, const char *stream);
void mnk_videos_free(MnkVideos *videos);

/* ---- chat_request.c: requests of the chat interface ---- */

typedef struct {
  char *stream;             /* id; NULL: none is named */
  char *url;                /* of a video; NULL: none */
  char *question;           /* the last words of the user */
  char *system;             /* "" */
  GArray *turns;            /* of MnkTurnOfTalk, oldest first */
  char *model;              /* NULL: none is named */
  gboolean streamed, usage; /* usage: a piece of its own tells it */
  MnkJson *how;             /* an object with members of MNK_HOW_FIELDS */
} MnkChat;
extern const MnkField mnk_chat_fields[]; /* of the body's member "manako" */
void mnk_chat_clear(MnkChat *chat);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MnkChat, mnk_chat_clear)
/* The body was checked against the route's table. Errors are MNK_ERROR_USAGE, _UNSUPPORTED or
 * _LIMIT and begin with the member's place: messages[1].content[0]. Pure. */
gboolean mnk_chat_read(const MnkJsonValue *body, MnkChat *out, GError **error);

/* ---- watches.c: standing questions ---- */

extern const MnkField mnk_watch_fields[]; /* of the body that makes one */

/* ---- handlers ---- */

void mnk_handle_ask(MnkCall *call);
void mnk_handle_memory(MnkCall *call);
void mnk_handle_watch_add(MnkCall *call);
void mnk_handle_watch_list(MnkCall *call);
void mnk_handle_watch_delete(MnkCall *call);
void mnk_handle_models(MnkCall *call);
void mnk_handle_chat(MnkCall *call);

/* ---- chat_answer.c: answers of the chat interface ---- */

typedef struct {
  char id[40];
  const char *model; /* borrowed */
  gint64 created_s;
  gboolean usage;
} MnkChatHead;
void mnk_chat_write_answer(const MnkChatHead *head, const MnkAnswer *answer, GString *out);
/* Pieces of a streamed answer, JSON each: the first, text, the last. */
void mnk_chat_write_first(const MnkChatHead *head, GString *out);
void mnk_chat_write_piece(const MnkChatHead *head, const char *text, GString *out);
void mnk_chat_write_last(const MnkChatHead *head, const MnkAnswer *answer, GString *out);
void mnk_chat_write_usage(const MnkChatHead *head, const MnkAnswer *answer, GString *out);

#endif
