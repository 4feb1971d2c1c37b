/* Captions by the local model, as a backend among others. */
#include "local/client_priv.h"

#include <string.h>

enum { CONTEXT_BYTES = 2048, WORDS_BYTES = 4096, TOKENS_MAX = 1024, FRAMES_MAX = 65536 };

typedef struct {
  MnkLocal *local;
  guint images_max, tokens_max;
  MnkBackendCounters counters;
} Own;

/* A call's side of it. */
typedef struct {
  Own *own;
  MnkBatch *batch; /* of a caption: what times the events get; no frames */
  MnkBackendDone done;
  MnkBackendTalk talk;
  gpointer user;
} Errand;

static void errand_free(gpointer data) {
  Errand *errand = data;
  mnk_batch_free(errand->batch);
  g_free(errand);
}

/* Of a long text the end; whole characters. Caller frees. */
static char *tail(const char *text, gsize max) {
  gsize length = text != NULL ? strlen(text) : 0;
  const char *start = length > max ? text + (length - max) : text;
  while (start != NULL && (*start & 0xc0) == 0x80)
    start++;
  return g_strdup(start != NULL ? start : "");
}

static void count(Own *own, const MnkLocalAnswer *answer) {
  own->counters.ok += answer != NULL;
  own->counters.failed += answer == NULL;
  if (answer != NULL) {
    own->counters.prompt_tokens += answer->prompt_tokens;
    own->counters.answer_tokens += answer->answer_tokens;
  }
}

/* ---- Captions ---- */

static void on_caption(const MnkModelAnswer *answer, const GError *error, gpointer user) {
  Errand *errand = user;
  g_autoptr(GError) fault = error != NULL ? g_error_copy(error) : NULL;
  g_autoptr(GPtrArray) events = NULL;
  if (answer != NULL)
    events = mnk_batch_read_events(errand->batch, answer->answer.text, strlen(answer->answer.text),
                                   &fault);
  count(errand->own, events != NULL ? &answer->answer : NULL);
  if (events == NULL) {
    errand->done(NULL, fault, errand->user);
    return;
  }
  const MnkBackendAnswer told = {
      .events = events,
      .prompt_tokens = answer->answer.prompt_tokens,
      .answer_tokens = answer->answer.answer_tokens,
      .attempts = 1,
      .model = errand->own->local->files.name,
  };
  errand->done(&told, NULL, errand->user);
}

static MnkBatch *copy_times(const MnkBatch *batch) {
  MnkBatch *copy = mnk_batch_new();
  copy->n_frames = batch->n_frames;
  copy->pts_ms = g_memdup2(batch->pts_ms, batch->n_frames * sizeof *batch->pts_ms);
  copy->end_ms = batch->end_ms;
  return copy;
}

static void share_frame(gpointer data) {
  mnk_batch_frame_free(data);
}

static gboolean can_be_shown(const MnkBatch *batch, const MnkBatchFrame *frame) {
  return frame->jpeg != NULL && frame->index < batch->n_frames &&
         g_bytes_get_size(frame->jpeg) > 0 && g_bytes_get_size(frame->jpeg) <= MNK_CLIP_BYTES_MAX;
}

/* The most telling frames; they share their pictures with the batch's. */
static GPtrArray *choose_frames(const MnkBatch *batch, guint max) {
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  g_autoptr(GArray) importance = g_array_new(FALSE, FALSE, sizeof(float));
  for (guint i = 0; i < batch->frames->len; i++) {
    MnkBatchFrame *frame = batch->frames->pdata[i];
    if (!can_be_shown(batch, frame))
      continue;
    g_ptr_array_add(all, frame);
    g_array_append_val(importance, frame->importance);
  }
  g_autoptr(GArray) chosen =
      mnk_batch_select((const float *)(gpointer)importance->data, all->len, max);
  GPtrArray *frames = g_ptr_array_new_with_free_func(share_frame);
  for (guint i = 0; i < chosen->len; i++) {
    const MnkBatchFrame *frame = all->pdata[g_array_index(chosen, guint, i)];
    MnkBatchFrame *shared = g_memdup2(frame, sizeof *frame);
    shared->jpeg = g_bytes_ref(frame->jpeg);
    g_ptr_array_add(frames, shared);
  }
  return frames;
}

static void describe(MnkCall *call, const MnkBatch *batch, const Own *own) {
  MnkModelCall *what = &call->what;
  const MnkSettings *settings = call->stream->settings;
  gboolean own_temperature = batch->temperature < 0;
  const char *wish = batch->prompt != NULL && batch->prompt[0] != '\0'
                         ? batch->prompt
                         : mnk_settings_string(settings, MNK_OPT_PROMPT);
  what->lang = g_strdup(batch->lang);
  what->context = tail(batch->context, CONTEXT_BYTES);
  what->running = tail(batch->running, CONTEXT_BYTES);
  what->known = tail(batch->known, CONTEXT_BYTES);
  what->wish = tail(wish, WORDS_BYTES);
  what->n_frames = batch->n_frames;
  what->tokens_max = own->tokens_max;
  what->temperature = own_temperature ? (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE)
                                      : batch->temperature;
  what->seed = (guint)mnk_settings_int(settings, MNK_OPT_SEED);
  what->deadline_us = call->deadline_us = batch->deadline_us;
  for (guint i = 0; i < call->frames->len; i++) {
    const MnkBatchFrame *frame = call->frames->pdata[i];
    MnkModelPlace place = {frame->index, frame->pts_ms};
    g_array_append_val(what->frames, place);
  }
}

/* The call of an errand; it frees it. */
static MnkCall *call_for(Own *own, MnkLocalStream *stream, Errand what, MnkCallKind kind) {
  MnkCall *call = mnk_call_new(own->local, stream, kind, g_memdup2(&what, sizeof what));
  call->release = errand_free;
  own->counters.calls++;
  return call;
}

static void fail_unknown(MnkCall *call, const char *stream) {
  mnk_call_fail(call, g_error_new(MNK_ERROR, MNK_ERROR_NOT_FOUND,
                                  "the local model has no memory of \"%s\"", stream));
}

static void own_caption(gpointer self, const MnkBatch *batch, MnkBackendDone done, gpointer user) {
  Own *own = self;
  MnkLocalStream *stream = mnk_local_find_stream(own->local, batch->stream);
  gboolean fits = batch->n_frames > 0 && batch->n_frames <= FRAMES_MAX;
  Errand errand = {.own = own, .done = done, .user = user};
  errand.batch = fits ? copy_times(batch) : NULL;
  MnkCall *call = call_for(own, stream, errand, MNK_CALL_CAPTION);
  call->caption = on_caption;
  if (stream == NULL || !fits) {
    fail_unknown(call, batch->stream);
    return;
  }
  call->frames = choose_frames(batch, own->images_max);
  describe(call, batch, own);
  mnk_call_start(call);
}

/* ---- Questions, as to any backend: of the memory, not of the pictures that come along ---- */

static void on_piece(const char *text, gpointer user) {
  const Errand *errand = user;
  if (errand->talk.piece != NULL)
    errand->talk.piece(text, errand->user);
}

static void on_answer(const MnkLocalAnswer *answer, const GError *error, gpointer user) {
  Errand *errand = user;
  count(errand->own, answer);
  if (answer == NULL) {
    errand->talk.done(NULL, error, errand->user);
    return;
  }
  const MnkBackendReply reply = {
      .text = answer->text,
      .model = errand->own->local->files.name,
      .cut = g_str_equal(answer->finish, "length"),
      .prompt_tokens = answer->prompt_tokens,
      .answer_tokens = answer->answer_tokens,
      .attempts = 1,
      .first_ms = answer->first_ms,
      .answer_ms = answer->answer_ms,
  };
  errand->talk.done(&reply, NULL, errand->user);
}

static void ask_stream(MnkCall *call, const MnkBackendQuestion *question) {
  const MnkSettings *settings = call->stream->settings;
  const MnkLocalQuestion local = {
      .question = question->question,
      .turns = question->turns,
      .n_turns = question->n_turns,
      .log = question->log,
      .lang = question->lang,
      .router = (MnkRouter)mnk_settings_int(settings, MNK_OPT_ROUTER),
      .topk = (guint)mnk_settings_int(settings, MNK_OPT_TOPK),
      .recent = (guint)mnk_settings_int(settings, MNK_OPT_RECENT_FRAMES),
      .tokens_max = question->tokens_max,
      .visual_max = (guint)mnk_settings_int(settings, MNK_OPT_MAX_VISUAL_TOKENS),
      .history = (MnkHistory)mnk_settings_int(settings, MNK_OPT_HISTORY),
      .margin = (float)mnk_settings_double(settings, MNK_OPT_GATE_MARGIN),
      .temperature = question->temperature >= 0
                         ? question->temperature
                         : (float)mnk_settings_double(settings, MNK_OPT_TEMPERATURE),
      .seed = (guint32)mnk_settings_int(settings, MNK_OPT_SEED),
      .deadline_us = question->deadline_us,
  };
  mnk_call_ask(call, &local);
}

static void own_ask(gpointer self, const MnkBackendQuestion *question, const MnkBackendTalk *talk,
                    gpointer user) {
  Own *own = self;
  MnkLocalStream *stream = mnk_local_find_stream(own->local, question->stream);
  MnkCall *call =
      call_for(own, stream, (Errand){.own = own, .talk = *talk, .user = user}, MNK_CALL_ASK);
  call->events = (MnkLocalEvents){on_piece, on_answer};
  if (stream == NULL)
    fail_unknown(call, question->stream);
  else
    ask_stream(call, question);
}

/* ---- What a backend has besides ---- */

/* user NULL and all: whoever asked. */
static void drop_calls(Own *own, gpointer user, gboolean all) {
  g_autoptr(GPtrArray) mine = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, own->local->calls);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const MnkCall *call = value;
    const Errand *errand = call->release == errand_free ? call->user : NULL;
    if (errand != NULL && errand->own == own && (all || errand->user == user))
      g_ptr_array_add(mine, value);
  }
  for (guint i = 0; i < mine->len; i++)
    mnk_call_drop(mine->pdata[i]);
}

static void own_cancel(gpointer self, gpointer user) {
  drop_calls(self, user, FALSE);
}

static MnkBackendState own_state(gpointer self) {
  const Own *own = self;
  switch (own->local->state) {
  case MNK_LOCAL_READY:
    return MNK_BACKEND_OK;
  case MNK_LOCAL_AWAY:
    return MNK_BACKEND_DEGRADED;
  case MNK_LOCAL_FAILED:
    return MNK_BACKEND_DOWN;
  default:
    return MNK_BACKEND_UNCHECKED;
  }
}

static const char *own_detail(gpointer self) {
  return mnk_local_detail(((const Own *)self)->local);
}

static const char *own_model(gpointer self) {
  return ((const Own *)self)->local->files.name;
}

static guint own_images_max(gpointer self) {
  return ((const Own *)self)->images_max;
}

static void own_counters(gpointer self, MnkBackendCounters *out) {
  *out = ((const Own *)self)->counters;
}

static void own_free(gpointer self) {
  drop_calls(self, NULL, TRUE);
  g_free(self);
}

MnkBackend *mnk_local_backend(MnkLocal *local) {
  static const MnkBackendClass CLASS = {
      .name = "local",
      .caption = own_caption,
      .ask = own_ask,
      .cancel = own_cancel,
      .state = own_state,
      .detail = own_detail,
      .model = own_model,
      .images_max = own_images_max,
      .counters = own_counters,
      .free = own_free,
  };
  Own *own = g_new0(Own, 1);
  own->local = local;
  own->images_max =
      MIN((guint)mnk_settings_int(local->settings, MNK_OPT_BACKEND_IMAGES), MNK_CALL_FRAMES_MAX);
  own->tokens_max =
      MIN((guint)mnk_settings_int(local->settings, MNK_OPT_BACKEND_TOKENS), TOKENS_MAX);
  return mnk_backend_new_own(&CLASS, own);
}

gboolean mnk_local_choose(const MnkSettings *settings, MnkHttpClient *client,
                          void (*changed)(gpointer user), gpointer user, MnkLocal **local,
                          MnkBackend **backend, GError **error) {
  const char *name = mnk_settings_string(settings, MNK_OPT_BACKEND);
  gboolean named = g_str_equal(name, "local");
  if (!mnk_local_new(settings, changed, user, local, error))
    return FALSE;
  if (*local != NULL && (named || g_str_equal(name, "auto"))) {
    *backend = mnk_local_backend(*local);
    return TRUE;
  }
  if (!named)
    return mnk_backend_new(settings, client, backend, error);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_CONFIG,
                      "--backend local needs a model: give it with --model-path");
  return FALSE;
}
