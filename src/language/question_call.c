/* One question on its way: text that is passed on as it comes, and its end. */
#include "language/service_priv.h"

#include <string.h>

/* The JSON around one token of a streamed answer, at most. */
enum { TOKEN_BYTES = 1024 };

typedef struct {
  MnkRemoteCall call; /* first */
  MnkBackendQuestion question;
  GPtrArray *frames; /* of MnkBatchFrame; what question.frames is */
  MnkBackendTalk talk;
  gint64 asked_us, first_us; /* first_us 0: nothing has been told */
  MnkSseReader *reader;
  MnkPlainText *plain;
  GString *text, *fresh; /* told, and to be told */
  gboolean read_events;  /* the attempt's reply is a stream of events */
  GError *broken;        /* what is wrong with it */
  gboolean *gone;        /* set when this is freed while a piece is told */
} QuestionCall;

/* ---- The question ---- */

static void frame_free(gpointer data) {
  mnk_batch_frame_free(data);
}

static MnkTurnOfTalk *copy_turns(const MnkBackendQuestion *question) {
  MnkTurnOfTalk *turns = g_new0(MnkTurnOfTalk, question->n_turns);
  for (guint i = 0; i < question->n_turns; i++) {
    turns[i].question = g_strdup(question->turns[i].question);
    turns[i].answer = g_strdup(question->turns[i].answer);
  }
  return turns;
}

static GPtrArray *copy_frames(const GPtrArray *frames) {
  GPtrArray *copy = g_ptr_array_new_with_free_func(frame_free);
  for (guint i = 0; frames && i < frames->len; i++) {
    const MnkBatchFrame *frame = frames->pdata[i];
    MnkBatchFrame *shared = g_memdup2(frame, sizeof *frame);
    if (shared->jpeg)
      g_bytes_ref(shared->jpeg);
    g_ptr_array_add(copy, shared);
  }
  return copy;
}

static void copy_question(QuestionCall *call, const MnkBackendQuestion *question) {
  call->frames = copy_frames(question->frames);
  call->question = *question;
  call->question.question = g_strdup(question->question);
  call->question.lang = g_strdup(question->lang);
  call->question.stream = g_strdup(question->stream);
  call->question.system = g_strdup(question->system);
  call->question.log = g_strdup(question->log);
  call->question.turns = copy_turns(question);
  call->question.frames = call->frames;
}

static void clear_question(QuestionCall *call) {
  MnkBackendQuestion *question = &call->question;
  MnkTurnOfTalk *turns = (MnkTurnOfTalk *)question->turns;
  for (guint i = 0; i < question->n_turns; i++) {
    g_free(turns[i].question);
    g_free(turns[i].answer);
  }
  g_free(turns);
  g_ptr_array_unref(call->frames);
  g_free((char *)question->question);
  g_free((char *)question->lang);
  g_free((char *)question->stream);
  g_free((char *)question->system);
  g_free((char *)question->log);
}

static void clear(MnkRemoteCall *base) {
  QuestionCall *call = (QuestionCall *)base;
  if (call->gone)
    *call->gone = TRUE;
  clear_question(call);
  g_clear_pointer(&call->reader, mnk_sse_reader_free);
  g_clear_pointer(&call->plain, mnk_plain_text_free);
  g_string_free(call->text, TRUE);
  g_string_free(call->fresh, TRUE);
  g_clear_error(&call->broken);
}

/* ---- Telling ---- */

/* FALSE: the call is gone. */
static gboolean tell(QuestionCall *call) {
  if (call->fresh->len == 0)
    return TRUE;
  gboolean gone = FALSE;
  g_autofree char *piece = g_strdup(call->fresh->str);
  if (call->first_us == 0)
    call->first_us = g_get_monotonic_time();
  if (call->call.exchange)
    mnk_exchange_commit(call->call.exchange);
  g_string_append(call->text, piece);
  g_string_truncate(call->fresh, 0);
  if (!call->talk.piece)
    return TRUE;
  call->gone = &gone;
  call->talk.piece(piece, call->call.user);
  if (!gone)
    call->gone = NULL;
  return !gone;
}

static void end(QuestionCall *call, MnkRemoteOutcome outcome, const MnkBackendReply *reply,
                const GError *error) {
  MnkBackendTalk talk = call->talk;
  gpointer user = call->call.user;
  mnk_remote_call_end(&call->call, outcome);
  mnk_remote_call_free(&call->call);
  talk.done(reply, error, user);
}

static void fail(MnkRemoteCall *base, MnkRemoteOutcome outcome, GError *error) {
  QuestionCall *call = (QuestionCall *)base;
  g_autoptr(GError) copy = g_error_copy(error);
  if (call->text->len > 0)
    g_prefix_error(&copy, "the answer broke off: ");
  end(call, outcome, NULL, copy);
}

/* ---- Reading ---- */

static gboolean add_text(QuestionCall *call, const char *text, GError **error) {
  if (!text || mnk_plain_text_push(call->plain, text, strlen(text), call->fresh))
    return TRUE;
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT, "an answer of more than %d bytes",
              MNK_ANSWER_BYTES_MAX);
  return FALSE;
}

static MnkJson *parse(const QuestionCall *call, const char *text, gsize length, GError **error) {
  MnkJsonLimits limits = mnk_json_limits_default;
  limits.max_bytes = limits.max_string = call->call.service->remote->config.answer_max;
  return mnk_json_parse(text, length, &limits, error);
}

/* What one event adds to the reply. Takes part's strings. */
static void merge(MnkReply *reply, MnkReply *part) {
  reply->ended |= part->ended;
  reply->cut |= part->cut;
  reply->prompt_tokens = MAX(reply->prompt_tokens, part->prompt_tokens);
  reply->answer_tokens = MAX(reply->answer_tokens, part->answer_tokens);
  if (part->blocked && !reply->blocked)
    reply->blocked = g_steal_pointer(&part->blocked);
  if (part->model && *part->model && !reply->model)
    reply->model = g_steal_pointer(&part->model);
}

static void on_event(const char *name, const char *data, const char *id, gpointer user) {
  QuestionCall *call = user;
  if (call->broken || call->call.reply.blocked)
    return;
  call->read_events = TRUE;
  if (g_str_equal(data, "[DONE]")) {
    call->call.reply.ended = TRUE;
    return;
  }
  g_auto(MnkReply) part = {0};
  g_autoptr(MnkJson) json = parse(call, data, strlen(data), &call->broken);
  if (json && call->call.service->dialect->read_part(mnk_json_root(json), &part, &call->broken) &&
      add_text(call, part.text, &call->broken))
    merge(&call->call.reply, &part);
}

static gboolean push(QuestionCall *call, const char *bytes, gsize length, GError **error) {
  if (!mnk_sse_reader_push(call->reader, bytes, length, error))
    return FALSE;
  if (call->broken)
    g_propagate_error(error, g_steal_pointer(&call->broken));
  return !*error;
}

/* An attempt begins: what the one before may have read was not told. */
static void on_begin(gpointer user) {
  QuestionCall *call = user;
  const MnkRemoteConfig *config = &call->call.service->remote->config;
  mnk_reply_clear(&call->call.reply);
  g_clear_error(&call->broken);
  g_clear_pointer(&call->reader, mnk_sse_reader_free);
  g_clear_pointer(&call->plain, mnk_plain_text_free);
  call->reader = mnk_sse_reader_new(config->answer_max, on_event, call);
  call->plain = mnk_plain_text_new(MNK_ANSWER_BYTES_MAX);
  call->read_events = FALSE;
  g_string_truncate(call->fresh, 0);
}

static gboolean on_part(const char *bytes, gsize length, gpointer user, GError **error) {
  QuestionCall *call = user;
  g_autoptr(GError) fault = NULL;
  push(call, bytes, length, &fault);
  if (!tell(call) || !fault) /* what came before the fault is told all the same */
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&fault));
  return FALSE;
}

/* Events although the type says otherwise. */
static gboolean looks_like_events(const char *text, gsize length) {
  static const char *const begins[] = {"data:", "event:", "id:", "retry:", ":"};
  while (length > 0 && g_ascii_isspace(*text)) {
    text++;
    length--;
  }
  for (guint i = 0; i < G_N_ELEMENTS(begins); i++)
    if (length >= strlen(begins[i]) && memcmp(text, begins[i], strlen(begins[i])) == 0)
      return TRUE;
  return FALSE;
}

/* Not streamed: one reply, or, as Google's services do it, a list of parts. */
static gboolean read_whole(QuestionCall *call, const char *text, gsize length, GError **error) {
  const MnkDialect *dialect = call->call.service->dialect;
  g_autoptr(MnkJson) json = parse(call, text, length, error);
  if (!json)
    return FALSE;
  const MnkJsonValue *root = mnk_json_root(json);
  if (mnk_json_type(root) != MNK_JSON_ARRAY || mnk_json_size(root) == 1)
    return dialect->read(root, &call->call.reply, error) &&
           add_text(call, call->call.reply.text, error);
  for (guint i = 0; i < mnk_json_size(root); i++) {
    g_auto(MnkReply) part = {0};
    if (!dialect->read_part(mnk_json_at(root, i), &part, error) ||
        !add_text(call, part.text, error))
      return FALSE;
    merge(&call->call.reply, &part);
  }
  return TRUE;
}

static gboolean accept_reply(MnkRemoteCall *base, const char *text, gsize length, GError **error) {
  QuestionCall *call = (QuestionCall *)base;
  g_autoptr(GError) fault = NULL;
  gboolean streamed = call->read_events;
  if (!streamed && looks_like_events(text, length))
    push(call, text, length, &fault);
  if (!fault) /* an event whose empty line is missing */
    push(call, "\n\n", 2, &fault);
  if (!fault && !call->read_events)
    read_whole(call, text, length, &fault);
  else if (!fault && !base->reply.ended && !base->reply.blocked)
    fault = g_error_new(MNK_ERROR, MNK_ERROR_BAD_INPUT, "the stream ended before the answer did");
  if (fault) {
    g_propagate_error(error, g_steal_pointer(&fault));
    return FALSE;
  }
  mnk_plain_text_end(call->plain, call->fresh);
  return TRUE;
}

/* ---- The end ---- */

static void withhold(QuestionCall *call, const char *what) {
  mnk_breaker_good(&call->call.service->remote->breaker);
  g_autoptr(MnkFault) fault = mnk_fault_new(MNK_FAULT_REQUEST, MNK_ERROR_BAD_INPUT, "%s", what);
  mnk_remote_call_fail(&call->call, MNK_REMOTE_FAILED, fault);
}

/* The candidates say nothing, so that the word must; what is of no use is not asked for again. */
static gboolean ask_in_words(QuestionCall *call) {
  enum { VAIN_MAX = 3 };
  MnkRemoteCall *base = &call->call;
  MnkRemoteBackend *service = base->service;
  if (!(base->form & MNK_FORM_GRADED) || base->reply.yes + base->reply.no > 0)
    return FALSE;
  base->form &= ~(guint)MNK_FORM_GRADED;
  if (base->reply.graded && ++service->vain_polls < VAIN_MAX) {
    base->known = &service->word_form; /* the next poll asks for them again */
  } else {
    service->poll_form = (MnkKnownForm){base->form, FALSE};
    mnk_info("language", base->stream, "event=no-probabilities backend=%s", service->dialect->name);
  }
  mnk_remote_call_send(base);
  return TRUE;
}

static void judge(MnkRemoteCall *base) {
  QuestionCall *call = (QuestionCall *)base;
  gboolean told = base->reply.yes + base->reply.no > 0;
  if (base->reply.blocked && !base->reply.graded) { /* graded: half a character is no text */
    gboolean begun = call->text->len > 0;
    g_autofree char *what = g_strdup_printf("the service withholds %s (%s)",
                                            begun ? "the rest" : "an answer", base->reply.blocked);
    withhold(call, what);
    return;
  }
  if (ask_in_words(call) || !tell(call))
    return;
  if (call->text->len == 0 && !told) {
    g_autofree char *cut = g_strdup_printf("it was cut off at %u tokens before it said anything",
                                           base->prompt->tokens_max);
    withhold(call, base->reply.cut ? cut : "the service withholds an answer (an empty answer)");
    return;
  }
  gint64 now_us = g_get_monotonic_time();
  if (call->first_us == 0)
    call->first_us = now_us;
  g_autofree char *model = mnk_remote_call_model(base);
  g_autofree char *text = g_strdup(call->text->str);
  MnkBackendReply reply = {.text = text,
                           .model = model,
                           .cut = base->reply.cut,
                           .prompt_tokens = base->prompt_tokens,
                           .answer_tokens = base->answer_tokens,
                           .attempts = base->attempts,
                           .first_ms = (double)(call->first_us - call->asked_us) / 1000,
                           .answer_ms = (double)(now_us - call->first_us) / 1000,
                           .yes = base->reply.yes,
                           .no = base->reply.no};
  if (told)
    base->service->vain_polls = 0;
  mnk_remote_call_praise(base);
  end(call, MNK_REMOTE_OK, &reply, NULL);
}

/* ---- The beginning ---- */

static gboolean prepare(MnkRemoteCall *base, GError **error) {
  QuestionCall *call = (QuestionCall *)base;
  gboolean poll = call->question.yes_or_no;
  base->known = poll ? &base->service->poll_form : &base->service->question_form;
  base->form = base->known->form;
  base->prompt = mnk_prompt_new_question(&call->question, &base->service->limits, error);
  return base->prompt != NULL;
}

static void complete(MnkExchangeConfig *config, MnkRemoteCall *base) {
  const MnkRemoteBackend *service = base->service;
  config->begin = on_begin;
  if (base->form & MNK_FORM_WHOLE)
    return;
  if (service->stream_url)
    config->url = service->stream_url;
  config->part = on_part;
  config->answer_max =
      service->remote->config.answer_max + (gsize)base->prompt->tokens_max * TOKEN_BYTES;
}

static const MnkRemoteCallKind kind = {
    .what = "question",
    .urgent = TRUE,
    .prepare = prepare,
    .complete = complete,
    .accept = accept_reply,
    .judge = judge,
    .fail = fail,
    .clear = clear,
};

MnkRemoteCall *mnk_remote_call_new_question(MnkRemoteBackend *service,
                                            const MnkBackendQuestion *question,
                                            const MnkBackendTalk *talk, gpointer user) {
  QuestionCall *call = g_new0(QuestionCall, 1);
  mnk_remote_call_init(&call->call, &kind, service, question->deadline_us, user);
  call->call.stream = g_strdup(question->stream);
  call->talk = *talk;
  call->asked_us = g_get_monotonic_time();
  call->text = g_string_new(NULL);
  call->fresh = g_string_new(NULL);
  copy_question(call, question);
  return &call->call;
}
