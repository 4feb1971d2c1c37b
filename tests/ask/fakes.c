#include "fakes.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

/* ---- The main context ---- */

static gboolean on_hang(gpointer user) {
  g_error("the test hangs");
  return G_SOURCE_REMOVE;
}

void fakes_wait(const gboolean *flag) {
  guint guard = g_timeout_add_seconds(60, on_hang, NULL);
  while (!*flag)
    g_main_context_iteration(NULL, TRUE);
  g_source_remove(guard);
}

static gpointer nothing(MnkStore *store, gpointer data, GError **error) {
  return NULL;
}

static void on_nothing(gpointer result, const GError *error, gpointer data) {
  *(gboolean *)data = TRUE;
}

/* What the store is asked is answered in order. */
void fakes_settle(MnkStore *store) {
  for (guint i = 0; i < 3; i++) {
    gboolean over = store == NULL;
    if (store)
      mnk_store_run(store, nothing, on_nothing, &over);
    fakes_wait(&over);
    while (g_main_context_iteration(NULL, FALSE))
      ;
  }
}

/* ---- Store ---- */

void place_open(Place *place) {
  g_autoptr(GError) error = NULL;
  place->folder = g_dir_make_tmp("manako-ask-XXXXXX", &error);
  g_assert_no_error(error);
  place->path = g_build_filename(place->folder, "timeline.db", NULL);
  place->store = mnk_store_open(place->path, MNK_STORE_WRITE, &error);
  g_assert_no_error(error);
}

void place_close(Place *place) {
  g_clear_pointer(&place->store, mnk_store_close);
  static const char *const ends[] = {"", "-wal", "-shm"};
  for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
    g_autofree char *path = g_strconcat(place->path, ends[i], NULL);
    g_unlink(path);
  }
  g_rmdir(place->folder);
  g_clear_pointer(&place->path, g_free);
  g_clear_pointer(&place->folder, g_free);
}

void place_add_stream(Place *place, const char *stream) {
  const MnkStreamRecord record = {.id = stream, .source = "test", .spec = "", .created_us = 1};
  mnk_store_put_stream(place->store, &record, FALSE, NULL, NULL);
}

void place_add_picture(Place *place, const char *stream, gint64 pts_ms) {
  g_autofree char *bytes = g_strdup_printf("\xff\xd8%" G_GINT64_FORMAT "\xff\xd9", pts_ms);
  g_autoptr(GBytes) jpeg = g_bytes_new(bytes, strlen(bytes));
  mnk_store_put_picture(place->store, stream, pts_ms, jpeg);
}

void place_add_caption(Place *place, const char *stream, guint id, gint64 start_ms, gint64 end_ms,
                       const char *text, gboolean picture) {
  g_autoptr(MnkCaption) caption = mnk_caption_new();
  caption->stream = g_strdup(stream);
  caption->id = g_strdup_printf("%u", id);
  caption->seq = id;
  caption->start_ms = start_ms;
  caption->end_ms = end_ms;
  caption->picture_ms = picture ? (start_ms + end_ms) / 2 : -1;
  caption->final = TRUE;
  caption->backend = g_strdup(text ? "template" : "none");
  caption->lang = g_strdup("en");
  caption->text = g_strdup(text ? text : "Nothing was seen.");
  if (!text)
    g_ptr_array_add(caption->facts, mnk_fact_new(MNK_FACT_GAP, "no signal"));
  mnk_store_put_caption(place->store, caption, NULL, NULL);
  if (picture)
    place_add_picture(place, stream, caption->picture_ms);
}

/* ---- Local model ---- */

int fake_memory;
static GPtrArray *locals;

static GPtrArray *copy_turns(const MnkTurnOfTalk *turns, guint n) {
  GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < n; i++) {
    g_ptr_array_add(texts, g_strdup(turns[i].question));
    g_ptr_array_add(texts, g_strdup(turns[i].answer));
  }
  return texts;
}

static void local_free(gpointer data) {
  FakeLocalAsk *ask = data;
  g_free(ask->question);
  g_free(ask->log);
  g_free(ask->lang);
  g_clear_pointer(&ask->turns, g_ptr_array_unref);
  g_free(ask);
}

void fake_local_reset(void) {
  g_clear_pointer(&locals, g_ptr_array_unref);
}

static FakeLocalAsk *local_new(MnkLocalStream *stream, const char *question, const char *lang,
                               gpointer user) {
  FakeLocalAsk *ask = g_new0(FakeLocalAsk, 1);
  g_assert_true(stream == FAKE_MEMORY);
  if (!locals)
    locals = g_ptr_array_new_with_free_func(local_free);
  g_ptr_array_add(locals, ask);
  ask->stream = stream;
  ask->question = g_strdup(question);
  ask->lang = g_strdup(lang);
  ask->user = user;
  return ask;
}

MnkLocalAsk *mnk_local_ask(MnkLocalStream *stream, const MnkLocalQuestion *question,
                           const MnkLocalEvents *events, gpointer user) {
  FakeLocalAsk *ask = local_new(stream, question->question, question->lang, user);
  ask->log = g_strdup(question->log);
  ask->turns = copy_turns(question->turns, question->n_turns);
  ask->asked = *question;
  ask->events = *events;
  return (MnkLocalAsk *)(gpointer)ask;
}

MnkLocalAsk *mnk_local_likely(MnkLocalStream *stream, const char *question, const char *lang,
                              MnkLocalLikely done, gpointer user) {
  FakeLocalAsk *ask = local_new(stream, question, lang, user);
  ask->likely = done;
  return (MnkLocalAsk *)(gpointer)ask;
}

void mnk_local_cancel(MnkLocalAsk *handle) {
  FakeLocalAsk *ask = (FakeLocalAsk *)(gpointer)handle;
  g_assert_false(ask->over || ask->cancelled);
  ask->cancelled = TRUE;
}

guint fake_local_count(void) {
  return locals ? locals->len : 0;
}

FakeLocalAsk *fake_local(guint index) {
  g_assert_cmpuint(fake_local_count(), >, index);
  return locals->pdata[index];
}

static FakeLocalAsk *live(guint index) {
  FakeLocalAsk *ask = fake_local(index);
  g_assert_false(ask->over || ask->cancelled);
  return ask;
}

void fake_local_piece(guint index, const char *text) {
  FakeLocalAsk *ask = live(index);
  ask->events.piece(text, ask->user);
}

void fake_local_answer(guint index, const char *text) {
  FakeLocalAsk *ask = live(index);
  ask->over = TRUE;
  g_autoptr(GArray) evidence = g_array_new(FALSE, FALSE, sizeof(MnkEvidence));
  MnkEvidence one = {4000, 6000, 0.5f, "chosen", 64};
  g_array_append_val(evidence, one);
  const MnkLocalAnswer answer = {.text = (char *)text,
                                 .evidence = evidence,
                                 .router = MNK_ROUTER_CROSS_ATTN,
                                 .history = TRUE,
                                 .finish = (char *)"length",
                                 .prompt_tokens = 100,
                                 .visual_tokens = 64,
                                 .cached_tokens = 10,
                                 .answer_tokens = 5,
                                 .wait_ms = 1,
                                 .route_ms = 2,
                                 .prompt_ms = 3,
                                 .first_ms = 4,
                                 .answer_ms = 5};
  ask->events.done(&answer, NULL, ask->user);
}

void fake_local_fail(guint index, MnkErrorCode code) {
  FakeLocalAsk *ask = live(index);
  ask->over = TRUE;
  g_autoptr(GError) error = g_error_new(MNK_ERROR, (gint)code, "the worker died");
  if (ask->likely)
    ask->likely(NAN, 0, error, ask->user);
  else
    ask->events.done(NULL, error, ask->user);
}

void fake_local_say(guint index, float probability, gint64 pts_ms) {
  FakeLocalAsk *ask = live(index);
  ask->over = TRUE;
  ask->likely(probability, pts_ms, NULL, ask->user);
}

/* ---- Backend ---- */

static void backend_ask_free(gpointer data) {
  FakeBackendAsk *ask = data;
  g_free(ask->question);
  g_free(ask->log);
  g_free(ask->system);
  g_free(ask->lang);
  g_array_unref(ask->times);
  g_ptr_array_unref(ask->turns);
  g_free(ask);
}

static void backend_ask(gpointer self, const MnkBackendQuestion *question,
                        const MnkBackendTalk *talk, gpointer user) {
  FakeBackend *fake = self;
  FakeBackendAsk *ask = g_new0(FakeBackendAsk, 1);
  ask->question = g_strdup(question->question);
  ask->log = g_strdup(question->log);
  ask->system = g_strdup(question->system);
  ask->lang = g_strdup(question->lang);
  ask->turns = copy_turns(question->turns, question->n_turns);
  ask->times = g_array_new(FALSE, FALSE, sizeof(gint64));
  for (guint i = 0; i < question->frames->len; i++) {
    const MnkBatchFrame *frame = question->frames->pdata[i];
    g_assert_nonnull(frame->jpeg);
    g_array_append_val(ask->times, frame->pts_ms);
  }
  ask->asked = *question;
  ask->talk = *talk;
  ask->user = user;
  g_ptr_array_add(fake->asks, ask);
}

static void backend_cancel(gpointer self, gpointer user) {
  const FakeBackend *fake = self;
  for (guint i = 0; i < fake->asks->len; i++) {
    FakeBackendAsk *ask = fake->asks->pdata[i];
    ask->cancelled |= ask->user == user && !ask->over;
  }
}

static MnkBackendState backend_state(gpointer self) {
  return MNK_BACKEND_OK;
}

static const char *backend_text(gpointer self) {
  return "fake-model";
}

static guint backend_images_max(gpointer self) {
  return ((FakeBackend *)self)->images_max;
}

static void backend_free(gpointer self) {
  FakeBackend *fake = self;
  g_clear_pointer(&fake->asks, g_ptr_array_unref);
}

MnkBackend *fake_backend_new(FakeBackend *fake, const char *name) {
  const MnkBackendClass klass = {.name = name,
                                 .ask = backend_ask,
                                 .cancel = backend_cancel,
                                 .state = backend_state,
                                 .detail = backend_text,
                                 .model = backend_text,
                                 .images_max = backend_images_max,
                                 .free = backend_free};
  fake->asks = g_ptr_array_new_with_free_func(backend_ask_free);
  fake->images_max = 4;
  return mnk_backend_new_own(&klass, fake);
}

FakeBackendAsk *fake_backend(const FakeBackend *fake, guint index) {
  g_assert_cmpuint(fake->asks->len, >, index);
  return fake->asks->pdata[index];
}

static FakeBackendAsk *live_ask(const FakeBackend *fake, guint index) {
  FakeBackendAsk *ask = fake_backend(fake, index);
  g_assert_false(ask->over || ask->cancelled);
  return ask;
}

void fake_backend_piece(const FakeBackend *fake, guint index, const char *text) {
  FakeBackendAsk *ask = live_ask(fake, index);
  ask->talk.piece(text, ask->user);
}

void fake_backend_answer(const FakeBackend *fake, guint index, const char *text) {
  fake_backend_grade(fake, index, text, 0, 0);
}

void fake_backend_grade(const FakeBackend *fake, guint index, const char *text, double yes,
                        double no) {
  FakeBackendAsk *ask = live_ask(fake, index);
  ask->over = TRUE;
  const MnkBackendReply reply = {.text = (char *)text,
                                 .model = (char *)"fake-model-001",
                                 .prompt_tokens = 1000,
                                 .answer_tokens = 50,
                                 .attempts = 1,
                                 .first_ms = 7,
                                 .answer_ms = 8,
                                 .yes = yes,
                                 .no = no};
  ask->talk.done(&reply, NULL, ask->user);
}

void fake_backend_fail(const FakeBackend *fake, guint index, MnkErrorCode code) {
  FakeBackendAsk *ask = live_ask(fake, index);
  ask->over = TRUE;
  g_autoptr(GError) error = g_error_new(MNK_ERROR, (gint)code, "the service is down");
  ask->talk.done(NULL, error, ask->user);
}

/* ---- Questions ---- */

void ended_clear(Ended *ended) {
  if (ended->pieces)
    g_string_free(ended->pieces, TRUE);
  mnk_answer_free(ended->answer);
  g_free(ended->json);
  g_free(ended->intervals);
  g_clear_error(&ended->error);
  *ended = (Ended){0};
}

static void on_piece(const char *text, gpointer user) {
  Ended *ended = user;
  g_assert_false(ended->ended);
  g_assert_true(g_utf8_validate(text, -1, NULL));
  g_assert_null(strpbrk(text, "\x1b\x07\r\t"));
  if (!ended->pieces)
    ended->pieces = g_string_new(NULL);
  g_string_append(ended->pieces, text);
  ended->n_pieces++;
}

static MnkAnswer *copy_answer(const MnkAnswer *answer) {
  MnkAnswer *copy = g_memdup2(answer, sizeof *answer);
  copy->id = g_strdup(answer->id);
  copy->stream = g_strdup(answer->stream);
  copy->question = g_strdup(answer->question);
  copy->text = g_strdup(answer->text);
  copy->conversation = g_strdup(answer->conversation);
  copy->backend = g_strdup(answer->backend);
  copy->model = g_strdup(answer->model);
  copy->router = g_strdup(answer->router);
  copy->finish = g_strdup(answer->finish);
  copy->evidence = g_ptr_array_ref(answer->evidence);
  return copy;
}

static void on_done(const MnkAnswer *answer, const GError *error, gpointer user) {
  Ended *ended = user;
  g_assert_false(ended->ended); /* once */
  g_assert_true((answer != NULL) != (error != NULL));
  ended->ended = TRUE;
  if (error) {
    ended->error = g_error_copy(error);
    return;
  }
  g_autoptr(GString) json = g_string_new(NULL);
  mnk_answer_write(answer, json);
  ended->json = g_strdup(json->str);
  ended->intervals = mnk_answer_intervals(answer);
  ended->answer = copy_answer(answer);
}

const MnkAskEvents ended_events = {on_piece, on_done};

MnkSettings *fakes_settings(const char *more) {
  MnkSettings *settings = mnk_settings_new();
  g_auto(GStrv) pairs = g_strsplit(more ? more : "", ",", -1);
  for (guint i = 0; pairs[i]; i++) {
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) pair = g_strsplit(pairs[i], "=", 2);
    const MnkOption *option = mnk_option_by_name(pair[0]);
    g_assert_nonnull(option);
    mnk_settings_set(settings, option->id, pair[1], &error);
    g_assert_no_error(error);
  }
  return settings;
}

MnkAskRequest fakes_request(const char *stream, const char *question) {
  return (MnkAskRequest){
      .stream = stream, .question = question, .owner = "", .system = "", .now_ms = 60000};
}
