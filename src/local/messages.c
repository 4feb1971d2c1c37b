/* Messages between the server and the model worker. Both are of one build, so that every member has
 * to be there; but the worker is not trusted: what it sends is checked. */
#include "local/messages_priv.h"

#include "local/members_priv.h"

#include <math.h>

#define FIELD(kind, field) MNK_MEMBER(MEMBERS_OF, kind, field)
#define TABLE(table) table, G_N_ELEMENTS(table)

#define MEMBERS_OF MnkModelHello
static const MnkMember HELLO[] = {
    FIELD(STRING, model),     FIELD(STRING, mmproj),  FIELD(STRING, indexer),
    FIELD(UINT, context),     FIELD(UINT, sequences), FIELD(UINT, image_tokens),
    FIELD(UINT, micro_batch), FIELD(INT64, threads),  FIELD(INT64, threads_batch),
    FIELD(BOOL, gpu),         FIELD(BOOL, sandbox),   FIELD(UINT64, max_memory),
    FIELD(UINT, log_level),
};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelStream
static const MnkMember STREAM[] = {
    FIELD(STRING, id),         FIELD(UINT, buffer_size),
    FIELD(UINT, frames_max),   FIELD(UINT, long_max),
    FIELD(UINT, recent),       FIELD(FLOAT, match_ratio),
    FIELD(FLOAT, token_drop),  FIELD(UINT64, detail_bytes_max),
    FIELD(UINT, token_memory), FIELD(UINT, mem_tokens),
    FIELD(UINT, cap_counts),   FIELD(UINT64, snapshot),
};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelFrame
static const MnkMember FRAME[] = {FIELD(INT64, pts_ms), FIELD(UINT64, length), FIELD(BOOL, cut)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkLocalMemory
static const MnkMember MEMORY[] = {
    FIELD(UINT, clusters),    FIELD(UINT, long_clusters), FIELD(UINT, recent),
    FIELD(INT64, first_ms),   FIELD(INT64, last_ms),      FIELD(UINT64, bytes),
    FIELD(UINT64, bytes_max),
};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelClipped
static const MnkMember CLIPPED[] = {FIELD(UINT, number), FIELD(UINT64, order), FIELD(DOUBLE, ms)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelCall
static const MnkMember CALL[] = {
    FIELD(UINT, number),       FIELD(STRING, question),   FIELD(STRING, log),
    FIELD(STRING, lang),       FIELD(STRING, context),    FIELD(STRING, running),
    FIELD(STRING, known),      FIELD(STRING, wish),       FIELD(UINT, router),
    FIELD(UINT, topk),         FIELD(UINT, recent),       FIELD(UINT, tokens_max),
    FIELD(UINT, visual_max),   FIELD(UINT, history),      FIELD(UINT, n_frames),
    FIELD(FLOAT, margin),      FIELD(FLOAT, temperature), FIELD(UINT, seed),
    FIELD(INT64, deadline_us),
};
#undef MEMBERS_OF
#define MEMBERS_OF MnkTurnOfTalk
static const MnkMember TURN[] = {FIELD(STRING, question), FIELD(STRING, answer)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelPlace
static const MnkMember PLACE[] = {FIELD(UINT, index), FIELD(INT64, pts_ms)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkLocalAnswer
static const MnkMember ANSWER[] = {
    FIELD(STRING, text),        FIELD(BOOL, history),       FIELD(STRING, finish),
    FIELD(UINT, prompt_tokens), FIELD(UINT, visual_tokens), FIELD(UINT, cached_tokens),
    FIELD(UINT, answer_tokens), FIELD(DOUBLE, wait_ms),     FIELD(DOUBLE, route_ms),
    FIELD(DOUBLE, prompt_ms),   FIELD(DOUBLE, first_ms),    FIELD(DOUBLE, answer_ms),
};
#undef MEMBERS_OF
#define MEMBERS_OF MnkEvidence
static const MnkMember EVIDENCE[] = {FIELD(INT64, start_ms), FIELD(INT64, end_ms),
                                     FIELD(FLOAT, score), FIELD(UINT, tokens)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelAnswer
static const MnkMember LIKELY[] = {FIELD(FLOAT, probability), FIELD(INT64, pts_ms)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelSaved
static const MnkMember SAVED[] = {FIELD(UINT64, length), FIELD(UINT64, order)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkModelReady
static const MnkMember READY[] = {FIELD(UINT, frame_tokens), FIELD(UINT, pair), FIELD(UINT, dim)};
#undef MEMBERS_OF
#define MEMBERS_OF MnkLocalCounters
static const MnkMember COUNTERS[] = {
    FIELD(UINT64, cached),        FIELD(UINT64, clips),         FIELD(UINT64, captions),
    FIELD(UINT64, questions),     FIELD(UINT64, watches),       FIELD(UINT64, interrupted),
    FIELD(UINT64, failed),        FIELD(UINT64, prompt_tokens), FIELD(UINT64, visual_tokens),
    FIELD(UINT64, cached_tokens), FIELD(UINT64, answer_tokens), FIELD(DOUBLE, encode_ms),
    FIELD(DOUBLE, remember_ms),   FIELD(DOUBLE, route_ms),      FIELD(DOUBLE, prompt_ms),
    FIELD(DOUBLE, answer_ms),
};
#undef MEMBERS_OF

/* ---- What several have in common ---- */

static void write_plain(const MnkMember *members, gsize n, const void *from, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_members_write(members, n, from, &w);
  mnk_json_end_object(&w);
}

static void write_list(MnkJsonWriter *w, const char *key, const MnkMember *members, gsize n,
                       const GArray *list) {
  guint size = list != NULL ? g_array_get_element_size((GArray *)list) : 0;
  mnk_json_begin_array(w, key);
  for (guint i = 0; list != NULL && i < list->len; i++) {
    mnk_json_begin_object(w, NULL);
    mnk_members_write(members, n, list->data + (gsize)i * size, w);
    mnk_json_end_object(w);
  }
  mnk_json_end_array(w);
}

/* Appends to list, whose elements are zero where the table has no member. */
static gboolean read_list(const MnkJsonValue *value, const char *key, guint max,
                          const MnkMember *members, gsize n, GArray *list, GError **error) {
  const MnkJsonValue *array = NULL;
  guint size = g_array_get_element_size(list);
  if (!mnk_json_get_array(value, key, MNK_JSON_REQUIRED, max, &array, error))
    return FALSE;
  for (guint i = 0; i < mnk_json_size(array); i++) {
    g_array_set_size(list, i + 1);
    if (!mnk_members_read(members, n, mnk_json_at(array, i), list->data + (gsize)i * size, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean read_number(const MnkJsonValue *value, guint *number, GError **error) {
  gint64 read = 0;
  if (!mnk_json_get_int(value, "number", MNK_JSON_REQUIRED, 0, G_MAXUINT, &read, error))
    return FALSE;
  *number = (guint)read;
  return TRUE;
}

static void add_error(MnkJsonWriter *w, const GError *error) {
  mnk_json_begin_object(w, "error");
  mnk_json_add_string(w, "code",
                      mnk_error_code_name(error->domain == MNK_ERROR ? (MnkErrorCode)error->code
                                                                     : MNK_ERROR_INTERNAL));
  mnk_json_add_string(w, "message", error->message);
  mnk_json_end_object(w);
}

void mnk_model_error_write(const GError *error, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  add_error(&w, error);
  mnk_json_end_object(&w);
}

GError *mnk_model_error_read(const MnkJsonValue *value) {
  const MnkJsonValue *told = mnk_json_get(value, "error");
  MnkErrorCode code = MNK_ERROR_INTERNAL;
  if (mnk_json_type(told) != MNK_JSON_OBJECT)
    return NULL;
  mnk_error_code_from_name(mnk_json_string(mnk_json_get(told, "code"), ""), &code);
  return g_error_new_literal(MNK_ERROR, code,
                             mnk_json_string(mnk_json_get(told, "message"), "the worker failed"));
}

/* ---- HELLO, READY, COUNTERS ---- */

void mnk_model_hello_clear(MnkModelHello *hello) {
  mnk_members_clear(TABLE(HELLO), hello);
}

void mnk_model_hello_write(const MnkModelHello *hello, GString *out) {
  write_plain(TABLE(HELLO), hello, out);
}

gboolean mnk_model_hello_read(const MnkJsonValue *value, MnkModelHello *out, GError **error) {
  *out = (MnkModelHello){0};
  if (mnk_members_read(TABLE(HELLO), value, out, error))
    return TRUE;
  mnk_model_hello_clear(out);
  return FALSE;
}

void mnk_model_ready_write(const MnkModelReady *ready, GString *out) {
  write_plain(TABLE(READY), ready, out);
}

gboolean mnk_model_ready_read(const MnkJsonValue *value, MnkModelReady *out, GError **error) {
  return mnk_members_read(TABLE(READY), value, out, error);
}

void mnk_model_counters_write(const MnkLocalCounters *counters, GString *out) {
  write_plain(TABLE(COUNTERS), counters, out);
}

gboolean mnk_model_counters_read(const MnkJsonValue *value, MnkLocalCounters *out, GError **error) {
  *out = (MnkLocalCounters){0};
  return mnk_members_read(TABLE(COUNTERS), value, out, error);
}

/* ---- OPEN, SET ---- */

void mnk_model_stream_clear(MnkModelStream *stream) {
  mnk_members_clear(TABLE(STREAM), stream);
}

void mnk_model_stream_write(const MnkModelStream *stream, GString *out) {
  write_plain(TABLE(STREAM), stream, out);
}

gboolean mnk_model_stream_read(const MnkJsonValue *value, MnkModelStream *out, GError **error) {
  *out = (MnkModelStream){0};
  if (mnk_members_read(TABLE(STREAM), value, out, error))
    return TRUE;
  mnk_model_stream_clear(out);
  return FALSE;
}

/* ---- CLIP, CLIPPED ---- */

void mnk_model_clip_clear(MnkModelClip *clip) {
  g_clear_pointer(&clip->frames, g_array_unref);
}

void mnk_model_clip_write(const MnkModelClip *clip, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "number", clip->number);
  write_list(&w, "frames", TABLE(FRAME), clip->frames);
  mnk_json_end_object(&w);
}

gboolean mnk_model_clip_read(const MnkJsonValue *value, MnkModelClip *out, GError **error) {
  *out = (MnkModelClip){.frames = g_array_new(FALSE, TRUE, sizeof(MnkModelFrame))};
  if (read_number(value, &out->number, error) &&
      read_list(value, "frames", MNK_CLIP_FRAMES_MAX, TABLE(FRAME), out->frames, error))
    return TRUE;
  mnk_model_clip_clear(out);
  return FALSE;
}

void mnk_model_clipped_clear(MnkModelClipped *clipped) {
  g_clear_pointer(&clipped->encoded, g_array_unref);
}

void mnk_model_clipped_write(const MnkModelClipped *clipped, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_members_write(TABLE(CLIPPED), clipped, &w);
  mnk_members_write(TABLE(MEMORY), &clipped->memory, &w);
  mnk_json_begin_array(&w, "encoded");
  for (guint i = 0; i < clipped->encoded->len; i++)
    mnk_json_add_bool(&w, NULL, g_array_index(clipped->encoded, gboolean, i));
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
}

gboolean mnk_model_clipped_read(const MnkJsonValue *value, MnkModelClipped *out, GError **error) {
  const MnkJsonValue *list = NULL;
  *out = (MnkModelClipped){.encoded = g_array_new(FALSE, TRUE, sizeof(gboolean))};
  if (!mnk_members_read(TABLE(CLIPPED), value, out, error) ||
      !mnk_members_read(TABLE(MEMORY), value, &out->memory, error) ||
      !mnk_json_get_array(value, "encoded", MNK_JSON_REQUIRED, MNK_CLIP_FRAMES_MAX, &list, error)) {
    mnk_model_clipped_clear(out);
    return FALSE;
  }
  for (guint i = 0; i < mnk_json_size(list); i++) {
    gboolean one = mnk_json_bool(mnk_json_at(list, i), FALSE);
    g_array_append_val(out->encoded, one);
  }
  return TRUE;
}

void mnk_model_restored_write(const MnkLocalMemory *memory, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_members_write(TABLE(MEMORY), memory, &w);
  mnk_json_end_object(&w);
}

gboolean mnk_model_restored_read(const MnkJsonValue *value, MnkLocalMemory *out, GError **error) {
  *out = (MnkLocalMemory){0};
  return mnk_members_read(TABLE(MEMORY), value, out, error);
}

/* ---- ASK, LIKELY, CAPTION ---- */

static void turn_clear(gpointer data) {
  mnk_members_clear(TABLE(TURN), data);
}

void mnk_model_call_init(MnkModelCall *call) {
  *call = (MnkModelCall){
      .turns = g_array_new(FALSE, TRUE, sizeof(MnkTurnOfTalk)),
      .frames = g_array_new(FALSE, TRUE, sizeof(MnkModelPlace)),
  };
  g_array_set_clear_func(call->turns, turn_clear);
}

void mnk_model_call_clear(MnkModelCall *call) {
  mnk_members_clear(TABLE(CALL), call);
  g_clear_pointer(&call->turns, g_array_unref);
  g_clear_pointer(&call->frames, g_array_unref);
}

void mnk_model_call_add_turn(MnkModelCall *call, const char *question, const char *answer) {
  MnkTurnOfTalk turn = {g_strdup(question), g_strdup(answer)};
  g_array_append_val(call->turns, turn);
}

void mnk_model_call_write(const MnkModelCall *call, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_members_write(TABLE(CALL), call, &w);
  write_list(&w, "turns", TABLE(TURN), call->turns);
  write_list(&w, "frames", TABLE(PLACE), call->frames);
  mnk_json_end_object(&w);
}

gboolean mnk_model_call_read(const MnkJsonValue *value, MnkModelCall *out, GError **error) {
  mnk_model_call_init(out);
  if (mnk_members_read(TABLE(CALL), value, out, error) &&
      read_list(value, "turns", MNK_CALL_TURNS_MAX, TABLE(TURN), out->turns, error) &&
      read_list(value, "frames", MNK_CALL_FRAMES_MAX, TABLE(PLACE), out->frames, error) &&
      out->router < MNK_ROUTER_N && out->history <= MNK_HISTORY_NEVER)
    return TRUE;
  if (error != NULL && *error == NULL)
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "no such router or history");
  mnk_model_call_clear(out);
  return FALSE;
}

/* ---- PIECE, ANSWER ---- */

void mnk_model_piece_write(guint number, const char *text, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "number", number);
  mnk_json_add_string(&w, "text", text);
  mnk_json_end_object(&w);
}

gboolean mnk_model_piece_read(const MnkJsonValue *value, guint *number, const char **text,
                              GError **error) {
  return read_number(value, number, error) &&
         mnk_json_get_string(value, "text", MNK_JSON_REQUIRED, G_MAXSIZE, text, error);
}

void mnk_local_answer_clear(MnkLocalAnswer *answer) {
  mnk_members_clear(TABLE(ANSWER), answer);
  g_clear_pointer(&answer->evidence, g_array_unref);
}

void mnk_model_answer_init(MnkModelAnswer *answer) {
  *answer = (MnkModelAnswer){
      .probability = NAN,
      .answer.evidence = g_array_new(FALSE, TRUE, sizeof(MnkEvidence)),
  };
}

void mnk_model_answer_clear(MnkModelAnswer *answer) {
  mnk_local_answer_clear(&answer->answer);
  g_clear_error(&answer->error);
}

static const char *const WHYS[] = {"chosen", "neighbour", "buffer", "recent"};

static void write_evidence(const GArray *evidence, MnkJsonWriter *w) {
  mnk_json_begin_array(w, "why");
  for (guint i = 0; i < evidence->len; i++)
    mnk_json_add_string(w, NULL, g_array_index(evidence, MnkEvidence, i).why);
  mnk_json_end_array(w);
  write_list(w, "evidence", TABLE(EVIDENCE), evidence);
}

void mnk_model_answer_write(const MnkModelAnswer *answer, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "number", answer->number);
  if (answer->error != NULL) {
    add_error(&w, answer->error);
  } else {
    mnk_members_write(TABLE(ANSWER), &answer->answer, &w);
    mnk_members_write(TABLE(LIKELY), answer, &w);
    mnk_json_add_int(&w, "router", answer->answer.router);
    write_evidence(answer->answer.evidence, &w);
  }
  mnk_json_end_object(&w);
}

/* Names are told as what they are here, so that they need no owner. */
static void read_whys(const MnkJsonValue *value, GArray *evidence) {
  const MnkJsonValue *whys = mnk_json_get(value, "why");
  for (guint i = 0; i < evidence->len; i++) {
    const char *told = mnk_json_string(mnk_json_at(whys, i), "");
    MnkEvidence *one = &g_array_index(evidence, MnkEvidence, i);
    one->why = WHYS[0];
    for (guint k = 0; k < G_N_ELEMENTS(WHYS); k++)
      if (g_str_equal(told, WHYS[k]))
        one->why = WHYS[k];
  }
}

static gboolean read_answer(const MnkJsonValue *value, MnkModelAnswer *out, GError **error) {
  enum { EVIDENCE_MAX = 16384 };
  gint64 router = 0;
  if (!mnk_members_read(TABLE(ANSWER), value, &out->answer, error) ||
      !mnk_members_read(TABLE(LIKELY), value, out, error) ||
      !mnk_json_get_int(value, "router", MNK_JSON_REQUIRED, 0, MNK_ROUTER_N - 1, &router, error) ||
      !read_list(value, "evidence", EVIDENCE_MAX, TABLE(EVIDENCE), out->answer.evidence, error))
    return FALSE;
  out->answer.router = (MnkRouter)router;
  read_whys(value, out->answer.evidence);
  return TRUE;
}

gboolean mnk_model_answer_read(const MnkJsonValue *value, MnkModelAnswer *out, GError **error) {
  mnk_model_answer_init(out);
  out->error = mnk_model_error_read(value);
  if (read_number(value, &out->number, error) &&
      (out->error != NULL || read_answer(value, out, error)))
    return TRUE;
  mnk_model_answer_clear(out);
  return FALSE;
}

/* ---- SAVE, SAVED, CANCEL ---- */

void mnk_model_number_write(guint number, GString *out) {
  g_string_append_printf(out, "{\"number\":%u}", number);
}

gboolean mnk_model_number_read(const MnkJsonValue *value, guint *number, GError **error) {
  return read_number(value, number, error);
}

void mnk_model_saved_write(const MnkModelSaved *saved, GString *out) {
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_json_begin_object(&w, NULL);
  mnk_json_add_int(&w, "number", saved->number);
  mnk_members_write(TABLE(SAVED), saved, &w);
  if (saved->error != NULL)
    add_error(&w, saved->error);
  mnk_json_end_object(&w);
}

gboolean mnk_model_saved_read(const MnkJsonValue *value, MnkModelSaved *out, GError **error) {
  *out = (MnkModelSaved){0};
  if (!read_number(value, &out->number, error) ||
      !mnk_members_read(TABLE(SAVED), value, out, error))
    return FALSE;
  out->error = mnk_model_error_read(value);
  return TRUE;
}
