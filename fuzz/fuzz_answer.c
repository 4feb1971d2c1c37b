/* Whatever a remote service or its model answers: what is read keeps to the rules of what was
 * asked, and an error always says what was wrong. */
#include "fuzz.h"

#include "language/service_priv.h"

#include <math.h>
#include <string.h>

enum { FRAMES = 9 };

static gboolean is_plain_line(const char *text) {
  for (const char *p = text; *p; p++)
    if ((guchar)*p < 0x20 || *p == 0x7f)
      return FALSE;
  return g_utf8_validate(text, -1, NULL);
}

static void check_event(const MnkBatch *batch, const MnkBatchEvent *event) {
  g_assert(event->start_frame <= event->end_frame && event->end_frame < batch->n_frames);
  g_assert(event->start_ms < event->end_ms && event->start_ms >= batch->pts_ms[0]);
  g_assert(event->end_ms <= batch->end_ms);
  g_assert(event->open == (event->end_frame == batch->n_frames - 1));
  g_assert(event->confidence >= 0 && event->confidence <= 1);
  g_assert(*event->text && strlen(event->text) <= MNK_BATCH_TEXT_BYTES);
  g_assert(is_plain_line(event->text));
}

static void read_events(const char *text, gsize size) {
  static gint64 pts_ms[FRAMES] = {0, 40, 80, 80, 1000, 1040, 2000, 9000, 9040};
  MnkBatch batch = {.n_frames = FRAMES, .pts_ms = pts_ms, .end_ms = 9100};
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) events = mnk_batch_read_events(&batch, text, size, &error);
  g_assert((events != NULL) == (error == NULL));
  for (guint i = 0; events && i < events->len; i++) {
    check_event(&batch, events->pdata[i]);
    const MnkBatchEvent *before = i > 0 ? events->pdata[i - 1] : NULL, *event = events->pdata[i];
    g_assert(!before || before->start_ms <= event->start_ms);
  }
}

static void read_reply(const MnkDialect *dialect, const char *text, gsize size) {
  g_autoptr(MnkJson) json = mnk_json_parse(text, size, NULL, NULL);
  g_auto(MnkReply) reply = {0};
  g_autoptr(GError) error = NULL;
  if (!json)
    return;
  gboolean fine = dialect->read(mnk_json_root(json), &reply, &error);
  g_assert(fine == (error == NULL));
  if (!fine)
    return;
  /* Something to go on with, one way or another. */
  g_assert(reply.text || reply.blocked || reply.cut);
  g_assert(!reply.blocked || is_plain_line(reply.blocked));
  g_assert(is_plain_line(reply.model));
  if (reply.text)
    read_events(reply.text, strlen(reply.text));
}

static void read_fault(const char *text, gsize size) {
  static const guint statuses[] = {302, 400, 401, 404, 429, 503};
  for (guint i = 0; i < G_N_ELEMENTS(statuses); i++) {
    g_autofree char *header = g_strndup(text, MIN(size, 64));
    g_autoptr(MnkFault) fault = mnk_fault_read(statuses[i], text, size, header, 0);
    g_assert(is_plain_line(fault->message) && strlen(fault->message) < 400);
    g_assert(fault->retry_after_ms >= -1 && fault->retry_after_ms <= 86400000);
  }
}

static void free_vector(gpointer vector) {
  g_array_unref(vector);
}

static void read_vectors(const char *text, gsize size) {
  g_autoptr(GPtrArray) vectors = g_ptr_array_new_with_free_func(free_vector);
  g_autoptr(GError) error = NULL;
  gboolean fine = mnk_embeddings_read(text, size, 2, vectors, &error);
  g_assert(fine == (error == NULL));
  for (guint i = 0; fine && i < vectors->len; i++) {
    const GArray *vector = vectors->pdata[i];
    double squares = 0;
    for (guint k = 0; k < vector->len; k++)
      squares += pow((double)g_array_index(vector, float, k), 2);
    g_assert(fabs(squares - 1) < 1e-3);
  }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  if (size == 0)
    return 0;
  g_autofree char *text = g_strndup((const char *)data + 1, size - 1);
  switch (data[0] % 5) {
  case 0:
    read_events(text, size - 1);
    break;
  case 1:
    read_reply(&mnk_dialect_gemini, text, size - 1);
    break;
  case 2:
    read_reply(&mnk_dialect_openai, text, size - 1);
    break;
  case 3:
    read_fault(text, size - 1);
    break;
  default:
    read_vectors(text, size - 1);
  }
  return 0;
}
