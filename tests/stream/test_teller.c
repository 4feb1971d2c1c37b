/* Rounds of a remote backend: what is asked, what is told, and what stands in. The backend here is
 * this file: it keeps what it is asked and answers when the test says so. */
#include <string.h>

#include "stream/stream_priv.h"

/* ---- a backend by hand ---- */

typedef struct {
  guint n_frames, n_pictures, first_picture, last_picture;
  gint64 end_ms;
  gint64 deadline_us;
  char *context, *running, *known;
  MnkBackendDone done;
  gpointer user;
} Asked;

static GQueue asked = G_QUEUE_INIT;

const char *mnk_backend_name(const MnkBackend *backend) {
  return "gemini";
}

guint mnk_backend_images_max(const MnkBackend *backend) {
  return 3;
}

void mnk_backend_caption(MnkBackend *backend, const MnkBatch *batch, MnkBackendDone done,
                         gpointer user) {
  Asked *one = g_new0(Asked, 1);
  one->n_frames = batch->n_frames;
  one->n_pictures = batch->frames->len;
  one->first_picture = ((MnkBatchFrame *)batch->frames->pdata[0])->index;
  one->last_picture = ((MnkBatchFrame *)batch->frames->pdata[batch->frames->len - 1])->index;
  one->end_ms = batch->end_ms;
  one->deadline_us = batch->deadline_us;
  one->context = g_strdup(batch->context);
  one->running = g_strdup(batch->running);
  one->known = g_strdup(batch->known);
  one->done = done;
  one->user = user;
  g_queue_push_tail(&asked, one);
}

static guint taken_back;

void mnk_backend_cancel(MnkBackend *backend, gpointer user) {
  taken_back++;
}

static void asked_free(gpointer data) {
  Asked *one = data;
  g_free(one->context);
  g_free(one->running);
  g_free(one->known);
  g_free(one);
}

typedef struct {
  gint64 start_ms, end_ms;
  guint start_frame, end_frame;
  gboolean open;
  const char *text;
} Event;

static void answer(Asked *one, const Event *events, guint n) {
  MnkBackendAnswer reply = {
      .events = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_batch_event_free)};
  for (guint i = 0; i < n; i++) {
    MnkBatchEvent *event = g_new0(MnkBatchEvent, 1);
    event->start_ms = events[i].start_ms, event->end_ms = events[i].end_ms;
    event->start_frame = events[i].start_frame, event->end_frame = events[i].end_frame;
    event->open = events[i].open;
    event->text = g_strdup(events[i].text);
    g_ptr_array_add(reply.events, event);
  }
  one->done(&reply, NULL, one->user);
  g_ptr_array_unref(reply.events);
}

static void refuse(Asked *one) {
  g_autoptr(GError) error = g_error_new_literal(MNK_ERROR, MNK_ERROR_SOURCE, "503");
  one->done(NULL, error, one->user);
}

/* ---- a captioner that writes down what it tells ---- */

typedef struct {
  MnkSettings *settings;
  MnkCaptioner *captioner;
  MnkTeller *teller;
  GString *told; /* "start-end backend id seq text\n" */
  gint64 clock_ms;
} Fixture;

static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  Fixture *fixture = user;
  g_string_append_printf(
      fixture->told, "%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT " %s %s%s %" G_GUINT64_FORMAT " %s\n",
      caption->start_ms, caption->end_ms, caption->backend, caption->id,
      caption->final ? "" : "...", caption->seq, caption->text);
}

static GBytes *no_picture(const MnkCaption *caption, gint64 *pts_ms, gpointer user) {
  return NULL;
}

static void set_up(Fixture *fixture, gconstpointer data) {
  taken_back = 0;
  static const MnkCaptionerEvents EVENTS = {on_caption, no_picture};
  fixture->settings = mnk_settings_new();
  fixture->told = g_string_new(NULL);
  fixture->captioner = mnk_captioner_new("s", MNK_LANG_EN, NULL, &EVENTS, fixture);
  fixture->teller = mnk_teller_new("s", fixture->captioner, NULL, fixture->settings);
}

static void tear_down(Fixture *fixture, gconstpointer data) {
  mnk_teller_free(fixture->teller);
  mnk_captioner_free(fixture->captioner);
  mnk_settings_free(fixture->settings);
  g_string_free(fixture->told, TRUE);
  for (Asked *one; (one = g_queue_pop_head(&asked)) != NULL; asked_free(one))
    g_assert_cmpuint(taken_back, >, 0);
}

/* Frames one second apart, each with a picture, and what the template says of them. */
static void gather(Fixture *fixture, guint n, const char *spare, gboolean gap) {
  gint64 start_ms = fixture->clock_ms;
  g_autoptr(GBytes) jpeg = g_bytes_new_static("jpeg", 4);
  for (guint i = 0; i < n; i++) {
    g_autofree MnkObservation *obs = g_new0(MnkObservation, 1);
    obs->pts_ms = fixture->clock_ms;
    obs->change = i == 2 ? 0.05f : 0.001f;
    mnk_teller_picture(fixture->teller, obs->pts_ms, jpeg);
    mnk_teller_observe(fixture->teller, obs);
    fixture->clock_ms += 1000;
  }
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup("s");
  caption->start_ms = start_ms;
  caption->end_ms = fixture->clock_ms;
  caption->backend = g_strdup(gap ? "none" : "template");
  caption->lang = g_strdup("en");
  caption->text = g_strdup(spare);
  g_ptr_array_add(caption->facts,
                  mnk_fact_new(gap ? MNK_FACT_GAP : MNK_FACT_OBJECT, gap ? "away" : "cat"));
  mnk_teller_scene(fixture->teller, caption, FALSE);
}

static void settle(void) {
  while (g_main_context_iteration(NULL, FALSE))
    ;
}

static Asked *next_asked(void) {
  settle();
  g_assert_cmpuint(asked.length, >, 0);
  return g_queue_pop_head(&asked);
}

/* ---- the tests ---- */

static void test_events_are_told(Fixture *fixture, gconstpointer data) {
  static const Event EVENTS[] = {{0, 2000, 0, 1, FALSE, "A cat."},
                                 {2000, 5000, 2, 4, FALSE, "A dog barks loudly."}};
  gather(fixture, 5, "Probably a cat.", FALSE);
  mnk_teller_decode(fixture->teller, 5000);
  Asked *one = next_asked();
  g_assert_cmpuint(one->n_frames, ==, 5);
  g_assert_cmpuint(one->n_pictures, ==, 3);
  g_assert_cmpuint(one->first_picture, ==, 0);
  g_assert_cmpuint(one->last_picture, ==, 4);
  g_assert_cmpint(one->end_ms, ==, 5000);
  g_assert_cmpstr(one->known, ==, "Probably a cat.\n");
  answer(one, EVENTS, 2);
  asked_free(one);
  g_assert_cmpstr(fixture->told->str, ==,
                  "0-2000 gemini 0 1 A cat.\n2000-5000 gemini 1 2 A dog barks loudly.\n");
  g_assert_false(mnk_teller_is_busy(fixture->teller));
  gather(fixture, 2, "Nothing.", FALSE);
  mnk_teller_decode(fixture->teller, 7000);
  one = next_asked();
  g_assert_cmpstr(one->context, ==, "A cat.\nA dog barks loudly.\n");
  refuse(one);
  asked_free(one);
}

static void test_template_stands_in(Fixture *fixture, gconstpointer data) {
  MnkTellerCounters counters;
  gather(fixture, 3, "Probably a cat.", FALSE);
  mnk_teller_decode(fixture->teller, 3000);
  Asked *one = next_asked();
  refuse(one);
  asked_free(one);
  g_assert_cmpstr(fixture->told->str, ==, "0-3000 template 0 1 Probably a cat.\n");
  mnk_teller_counters(fixture->teller, &counters);
  g_assert_cmpuint(counters.batches, ==, 1);
  g_assert_cmpuint(counters.fallbacks, ==, 1);
}

/* An event that reaches to the end of its round is shown, and told when the next round is known. */
static void test_open_event_goes_on(Fixture *fixture, gconstpointer data) {
  static const Event OPEN[] = {{0, 3000, 0, 2, TRUE, "A man walks along the street."}};
  static const Event ON[] = {{3000, 5000, 0, 1, FALSE, "A man walks along a street."},
                             {5000, 6000, 2, 2, FALSE, "He stops."}};
  gather(fixture, 3, "A person.", FALSE);
  mnk_teller_decode(fixture->teller, 3000);
  Asked *one = next_asked();
  answer(one, OPEN, 1);
  asked_free(one);
  g_assert_cmpstr(fixture->told->str, ==, "0-3000 gemini 0... 0 A man walks along the street.\n");
  g_assert_true(mnk_teller_is_busy(fixture->teller));
  g_string_truncate(fixture->told, 0);
  gather(fixture, 3, "A person.", FALSE);
  mnk_teller_decode(fixture->teller, 6000);
  one = next_asked();
  g_assert_cmpstr(one->running, ==, "A man walks along the street.");
  answer(one, ON, 2);
  asked_free(one);
  g_assert_cmpstr(
      fixture->told->str, ==,
      "0-5000 gemini 0 1 A man walks along a street.\n5000-6000 gemini 1 2 He stops.\n");
}

static void test_open_event_at_the_end(Fixture *fixture, gconstpointer data) {
  static const Event OPEN[] = {{0, 3000, 0, 2, TRUE, "A man."}};
  gather(fixture, 3, "A person.", FALSE);
  mnk_teller_decode(fixture->teller, 3000);
  mnk_teller_finish(fixture->teller);
  Asked *one = next_asked();
  answer(one, OPEN, 1);
  asked_free(one);
  settle();
  g_assert_nonnull(strstr(fixture->told->str, "0-3000 gemini 0 1 A man.\n"));
  g_assert_false(mnk_teller_is_busy(fixture->teller));
}

static void test_gap_stays(Fixture *fixture, gconstpointer data) {
  static const Event EVENTS[] = {{5000, 6000, 5, 5, FALSE, "A dog."}};
  gather(fixture, 3, "A cat.", FALSE);
  gather(fixture, 2, "Not seen.", TRUE);
  gather(fixture, 1, "A dog.", FALSE);
  mnk_teller_decode(fixture->teller, 6000);
  Asked *one = next_asked();
  answer(one, EVENTS, 1);
  asked_free(one);
  g_assert_cmpstr(fixture->told->str, ==,
                  "3000-5000 none 0 1 Not seen.\n5000-6000 gemini 1 2 A dog.\n");
}

/* One at a time, in order; what waits too long is told by the template, in its place. */
static void test_stale_rounds(Fixture *fixture, gconstpointer data) {
  static const char *const SPARES[] = {"zero", "one", "two", "three", "four", "five"};
  static const Event EVENTS[] = {{0, 1000, 0, 0, FALSE, "ZERO"}};
  MnkTellerCounters counters;
  for (guint i = 0; i < G_N_ELEMENTS(SPARES); i++) {
    gather(fixture, 1, SPARES[i], FALSE);
    mnk_teller_decode(fixture->teller, fixture->clock_ms);
    settle();
  }
  g_assert_cmpuint(asked.length, ==, 1);
  mnk_teller_counters(fixture->teller, &counters);
  g_assert_cmpuint(counters.stale, ==, 2);
  Asked *one = g_queue_pop_head(&asked);
  answer(one, EVENTS, 1);
  asked_free(one);
  g_assert_cmpstr(
      fixture->told->str, ==,
      "0-1000 gemini 0 1 ZERO\n1000-2000 template 1 2 one\n2000-3000 template 2 3 two\n");
  g_assert_cmpuint(asked.length, ==, 1);
}

static void on_moved(gpointer user) {
  (*(guint *)user)++;
}

/* A source that can wait: each round is asked about, and has its whole time from then on. */
static void test_patient_rounds(Fixture *fixture, gconstpointer data) {
  enum { ROUNDS = 8 };
  static const Event EVENTS[] = {{0, 1000, 0, 0, FALSE, "TOLD"}};
  MnkTellerCounters counters;
  guint moved = 0;
  gint64 deadline_us = 0;
  mnk_teller_be_patient(fixture->teller, on_moved, &moved);
  for (guint i = 0; i < ROUNDS; i++) {
    gather(fixture, 1, "spare", FALSE);
    mnk_teller_decode(fixture->teller, fixture->clock_ms);
    settle();
  }
  g_assert_cmpuint(mnk_teller_waiting(fixture->teller), ==, ROUNDS);
  g_assert_cmpuint(moved, ==, ROUNDS);
  for (guint i = 0; i < ROUNDS; i++) {
    Asked *one = next_asked();
    g_assert_cmpuint(asked.length, ==, 0);
    g_assert_cmpint(one->deadline_us, >, deadline_us);
    deadline_us = one->deadline_us;
    gint64 before_us = mnk_clock_mono_us(mnk_clock_system());
    answer(one, EVENTS, 1);
    asked_free(one);
    if (i + 1 < ROUNDS) {
      const Asked *next = g_queue_peek_head(&asked);
      g_assert_cmpint(next->deadline_us - before_us, >=,
                      1000 * mnk_settings_int(fixture->settings, MNK_OPT_BACKEND_DEADLINE));
    }
  }
  g_assert_cmpuint(mnk_teller_waiting(fixture->teller), ==, 0);
  g_assert_cmpuint(moved, ==, 2 * ROUNDS);
  g_assert_null(strstr(fixture->told->str, "template"));
  mnk_teller_counters(fixture->teller, &counters);
  g_assert_cmpuint(counters.stale, ==, 0);
}

static void test_hurry(Fixture *fixture, gconstpointer data) {
  gather(fixture, 1, "one", FALSE);
  mnk_teller_decode(fixture->teller, 1000);
  gather(fixture, 1, "two", FALSE);
  mnk_teller_decode(fixture->teller, 2000);
  Asked *one = next_asked();
  mnk_teller_hurry(fixture->teller);
  g_assert_cmpstr(fixture->told->str, ==, "0-1000 template 0 1 one\n1000-2000 template 1 2 two\n");
  g_assert_cmpuint(taken_back, ==, 1);
  asked_free(one);
  settle();
  g_assert_false(mnk_teller_is_busy(fixture->teller));
}

static void test_freed_while_asked(Fixture *fixture, gconstpointer data) {
  gather(fixture, 1, "one", FALSE);
  mnk_teller_decode(fixture->teller, 1000);
  Asked *one = next_asked();
  g_clear_pointer(&fixture->teller, mnk_teller_free);
  g_assert_cmpuint(taken_back, ==, 1);
  asked_free(one);
  g_assert_cmpuint(fixture->told->len, ==, 0);
}

/* The same words again lengthen the caption before under the same id, with a new seq. */
static void test_same_words(Fixture *fixture, gconstpointer data) {
  for (guint i = 0; i < 3; i++) {
    MnkCaption *caption = mnk_caption_new();
    caption->stream = g_strdup("s");
    caption->start_ms = i * 1000, caption->end_ms = i * 1000 + 1000;
    caption->backend = g_strdup("template");
    caption->lang = g_strdup("en");
    caption->text = g_strdup(i < 2 ? "A cat." : "A dog.");
    mnk_captioner_tell(fixture->captioner, caption, FALSE);
  }
  mnk_captioner_lengthen(fixture->captioner, 5000);
  g_assert_cmpstr(fixture->told->str, ==,
                  "0-1000 template 0 1 A cat.\n0-2000 template 0 2 A cat.\n"
                  "2000-3000 template 1 3 A dog.\n2000-5000 template 1 4 A dog.\n");
  g_assert_cmpuint(mnk_captioner_count(fixture->captioner), ==, 2);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  mnk_log_set_level(MNK_LOG_ERROR);
#define ADD(name) g_test_add("/teller/" #name, Fixture, NULL, set_up, test_##name, tear_down)
  ADD(events_are_told);
  ADD(template_stands_in);
  ADD(open_event_goes_on);
  ADD(open_event_at_the_end);
  ADD(gap_stays);
  ADD(stale_rounds);
  ADD(patient_rounds);
  ADD(hurry);
  ADD(freed_while_asked);
  ADD(same_words);
  return g_test_run();
}
