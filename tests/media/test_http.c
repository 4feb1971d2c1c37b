/* HTTP sources against a small server on the loopback interface. */
#include <string.h>

#include "base/base.h"
#include "servers.h"

typedef struct {
  Server *server;
} Fixture;

static void setup(Fixture *fixture, gconstpointer data) {
  fixture->server = http_server_start(NULL);
}

static void teardown(Fixture *fixture, gconstpointer data) {
  g_clear_pointer(&fixture->server, server_free);
}

static MnkSourceConfig http_config(const char *address) {
  return (MnkSourceConfig){
      .kind = MNK_SOURCE_HTTP,
      .address = address,
      .fd = -1,
      .fps = 1,
      .to_ms = -1,
      .every_frame = TRUE,
      .timeout_ms = 5000,
      .reconnect_max = 2,
      .outbound_allow = "loopback",
      .max_pixels = 36000000,
  };
}

static char *address_of(const Fixture *fixture, const char *path) {
  return g_strdup_printf("http://127.0.0.1:%u%s", fixture->server->port, path);
}

static void assert_in_order(const ClipRead *read) {
  for (guint i = 1; i < read->frames->len; i++)
    g_assert_cmpint(clip_frame(read, i)->pts_ms, >, clip_frame(read, i - 1)->pts_ms);
}

/* ---- With an end ---- */

static void test_finite(Fixture *fixture, gconstpointer path) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, path);
  MnkSourceConfig config = http_config(address);
  g_autoptr(MnkSource) source = clip_open(&config);
  const MnkSourceInfo *info = mnk_source_info(source);
  g_assert_false(info->live);
  g_assert_cmpint(info->width, ==, PATTERN_WIDTH);
  g_assert_cmpstr(info->codec, ==, "h264");
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_no_error(read->error);
  g_assert_cmpint(read->last, ==, MNK_READ_END);
  g_assert_cmpuint(read->frames->len, ==, PATTERN_FRAMES);
  assert_in_order(read);
  for (guint i = 0; i < read->frames->len; i++) {
    g_assert_cmpint(clip_number(clip_frame(read, i)), ==, (int)i);
    g_assert_cmpint(clip_frame(read, i)->pts_ms, ==, 40 * (gint64)i);
  }
}

/* Sampled frames are those of the same file on disk. */
static void test_as_from_disk(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *path = clip_coded("front.mp4", CLIP_H264 "-movflags +faststart");
  MnkSourceConfig config = clip_config(path);
  g_autoptr(MnkSource) file = clip_open(&config);
  g_autoptr(ClipRead) from_file = clip_read(file, G_MAXUINT);
  g_autofree char *expected = clip_samples(from_file);
  g_autofree char *address = address_of(fixture, "/plain/mp4");
  config = http_config(address);
  config.every_frame = FALSE;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_autofree char *samples = clip_samples(read);
  g_assert_cmpstr(samples, ==, expected);
}

/* ---- Without one ---- */

/* What is asked for again starts anew: the time away is told, the stream's clock goes on. */
static void test_comes_back(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, "/endless.ts");
  MnkSourceConfig config = http_config(address);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_true(mnk_source_info(source)->live);
  g_assert_cmpint(mnk_source_info(source)->duration_ms, <, 0);
  g_autoptr(ClipRead) before = clip_read(source, G_MAXUINT);
  g_assert_cmpint(before->last, ==, MNK_READ_GAP);
  g_assert_cmpuint(before->frames->len, >=, 100);
  assert_in_order(before);
  gint64 start_ms, end_ms;
  mnk_source_last_gap(source, &start_ms, &end_ms);
  g_assert_cmpint(start_ms, ==, clip_frame(before, before->frames->len - 1)->pts_ms + 40);
  g_autoptr(ClipRead) after = clip_read(source, 30);
  g_assert_cmpuint(after->frames->len, ==, 30);
  g_assert_cmpint(clip_frame(after, 0)->pts_ms, ==, end_ms);
  g_assert_cmpint(clip_number(clip_frame(after, 0)), ==, 0);
  assert_in_order(after);
  MnkSourceCounters counters;
  mnk_source_counters(source, &counters);
  g_assert_cmpuint(counters.reconnects, ==, 1);
}

/* A playlist that grows and is finished at last. */
static void test_live_playlist(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, "/live.m3u8");
  MnkSourceConfig config = http_config(address);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_true(mnk_source_info(source)->live);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_no_error(read->error);
  g_assert_cmpint(read->last, ==, MNK_READ_END);
  g_assert_cmpuint(read->frames->len, >=, PATTERN_FRAMES / 2);
  assert_in_order(read);
}

/* One that is gone, for good. */
static void test_dying_playlist(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, "/dying.m3u8");
  MnkSourceConfig config = http_config(address);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpint(read->last, ==, MNK_READ_ERROR);
  g_assert_cmpuint(read->frames->len, >, 0);
  g_assert_error(read->error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_test_message("%s", read->error->message);
  g_assert_nonnull(strstr(read->error->message, "could not be reached again in 2 attempts"));
}

/* The pictures of a network camera that speaks nothing else: their times are those of their coming.
 */
static void test_pictures(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, "/pictures");
  MnkSourceConfig config = http_config(address);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_assert_true(mnk_source_info(source)->live);
  g_autoptr(ClipRead) read = clip_read(source, 30);
  g_assert_cmpuint(read->frames->len, ==, 30);
  assert_in_order(read);
  g_assert_cmpint(clip_number(clip_frame(read, 0)), ==, 0);
  /* Sent at intervals of 20 ms or more. A rate that was made up would be 40. */
  gint64 span = clip_frame(read, 29)->arrival_us - clip_frame(read, 0)->arrival_us;
  g_test_message("29 pictures: %d ms, came within %d ms", (int)clip_frame(read, 29)->pts_ms,
                 (int)(span / 1000));
  g_assert_cmpint(clip_frame(read, 29)->pts_ms, !=, 29 * 40);
}

/* ---- What goes wrong ---- */

static const struct {
  const char *path, *part;
  int code;
} refusals[] = {
    {"/status/401", "wants a user name and password", MNK_ERROR_SOURCE},
    {"/status/403", "forbids the access", MNK_ERROR_SOURCE},
    {"/status/404", "has nothing there", MNK_ERROR_NOT_FOUND},
    {"/status/500", "", MNK_ERROR_SOURCE},
    {"/silent", "did not answer in time", MNK_ERROR_SOURCE},
    {"/noise", "gave nothing that is a video", MNK_ERROR_SOURCE},
    {"/here", "redirect, which is not followed", MNK_ERROR_SOURCE},
};

static void test_refusal(Fixture *fixture, gconstpointer data) {
  guint i = GPOINTER_TO_UINT(data);
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, refusals[i].path);
  MnkSourceConfig config = http_config(address);
  config.timeout_ms = 700;
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  g_assert_null(source);
  g_assert_error(error, MNK_ERROR, refusals[i].code);
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, refusals[i].part));
  g_assert_true(g_str_has_prefix(error->message, address));
}

static void test_gone(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, "/gone/mp4");
  MnkSourceConfig config = http_config(address);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpint(read->last, ==, MNK_READ_ERROR);
  g_assert_error(read->error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_test_message("%s", read->error->message);
  g_assert_nonnull(strstr(read->error->message, "before its end"));
  g_assert_cmpuint(read->frames->len, >, 0);
}

static void test_bad_addresses(void) {
  static const struct {
    const char *address, *part;
    MnkSourceKind kind;
  } cases[] = {
      {"ftp://127.0.0.1/x.mp4", "not an address of http", MNK_SOURCE_HTTP},
      {"rtsp://127.0.0.1/x", "not an address of http", MNK_SOURCE_HTTP},
      {"file:///etc/passwd", "has no host", MNK_SOURCE_HTTP},
      {"concat:http://127.0.0.1/a|b", "scheme", MNK_SOURCE_HTTP},
      {"subfile,,start,0,end,9,,:/etc/passwd", "scheme", MNK_SOURCE_HTTP},
      {"/etc/passwd", "scheme", MNK_SOURCE_HTTP},
      {"http://a b/", "white space", MNK_SOURCE_HTTP},
      {"http://127.0.0.1/x", "not an address of rtsp", MNK_SOURCE_RTSP},
      {"rtsp://me:a@b@127.0.0.1/x", "more than one @", MNK_SOURCE_RTSP},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    MnkSourceConfig config = http_config(cases[i].address);
    config.kind = cases[i].kind;
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
    g_assert_null(source);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, cases[i].part));
    g_assert_null(strstr(error->message, "me:a"));
  }
  MnkSourceConfig config = http_config("http://127.0.0.1/x");
  config.outbound_allow = "everything";
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(&config, &error);
  g_assert_null(source);
  g_assert_error(error, MNK_ERROR, MNK_ERROR_CONFIG);
}

static gpointer interrupt_soon(gpointer source) {
  g_usleep(300000);
  mnk_source_interrupt(source);
  return NULL;
}

static void test_interrupt(Fixture *fixture, gconstpointer data) {
  if (!fixture->server)
    return;
  g_autofree char *address = address_of(fixture, "/endless.ts");
  MnkSourceConfig config = http_config(address);
  config.reconnect_max = 1000;
  g_autoptr(MnkSource) source = clip_open(&config);
  GThread *thread = g_thread_new("interrupt", interrupt_soon, source);
  g_autoptr(ClipRead) read = NULL;
  do {
    g_clear_pointer(&read, clip_read_free);
    read = clip_read(source, 100);
  } while (read->last != MNK_READ_ERROR);
  g_assert_error(read->error, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_thread_join(thread);
}

#define ADD(path, data, test) g_test_add(path, Fixture, data, setup, test, teardown)

int main(int argc, char **argv) {
  static const char *const finite[] = {"/plain/mp4", "/plain/tail", "/plain/ts",
                                       "/whole/mp4", "/whole/ts",   "/cut/mp4",
                                       "/cut/ts",    "/all.m3u8",   "/encrypted.m3u8"};
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(finite); i++) {
    g_autofree char *path = g_strdup_printf("/media/http/finite%s", finite[i]);
    ADD(path, finite[i], test_finite);
  }
  ADD("/media/http/as-from-disk", NULL, test_as_from_disk);
  ADD("/media/http/comes-back", NULL, test_comes_back);
  ADD("/media/http/live-playlist", NULL, test_live_playlist);
  ADD("/media/http/dying-playlist", NULL, test_dying_playlist);
  ADD("/media/http/pictures", NULL, test_pictures);
  for (guint i = 0; i < G_N_ELEMENTS(refusals); i++) {
    g_autofree char *path = g_strdup_printf("/media/http/refusal%s", refusals[i].path);
    ADD(path, GUINT_TO_POINTER(i), test_refusal);
  }
  ADD("/media/http/gone", NULL, test_gone);
  g_test_add_func("/media/http/bad-addresses", test_bad_addresses);
  ADD("/media/http/interrupt", NULL, test_interrupt);
  return g_test_run();
}
