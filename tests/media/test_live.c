/* Live sources: RTSP against a small server on the loopback interface, and cameras that are none.
 */
#include <gio/gio.h>
#include <string.h>

#include "base/base.h"
#include "servers.h"

/* ---- The server ---- */

typedef struct {
  Server *server;
  char *address;
} Camera;

static void camera_free(Camera *camera) {
  server_free(camera->server);
  g_free(camera->address);
  g_free(camera);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Camera, camera_free)

/* options: of rtsp_server.py. NULL after g_test_skip(). */
static Camera *camera_new(const char *options) {
  Server *server = rtsp_server_start(options);
  if (!server)
    return NULL;
  Camera *camera = g_new0(Camera, 1);
  camera->server = server;
  camera->address = g_strdup_printf("rtsp://127.0.0.1:%u/camera", server->port);
  return camera;
}

static MnkSourceConfig rtsp_config(const char *address) {
  return (MnkSourceConfig){
      .kind = MNK_SOURCE_RTSP,
      .address = address,
      .fd = -1,
      .fps = 1,
      .to_ms = -1,
      .every_frame = TRUE,
      .timeout_ms = 5000,
      .reconnect_max = 3,
      .outbound_allow = "loopback",
      .max_pixels = 36000000,
  };
}

/* ---- Reading ---- */

static void assert_in_order(const ClipRead *read) {
  for (guint i = 1; i < read->frames->len; i++) {
    const MnkFrame *last = clip_frame(read, i - 1), *frame = clip_frame(read, i);
    g_assert_cmpint(frame->pts_ms, >, last->pts_ms);
    g_assert_cmpuint(frame->epoch, >=, last->epoch);
  }
}

static void test_read(gconstpointer udp) {
  g_autoptr(Camera) camera = camera_new("");
  if (!camera)
    return;
  MnkSourceConfig config = rtsp_config(camera->address);
  config.rtsp_udp = GPOINTER_TO_INT(udp);
  g_autoptr(MnkSource) source = clip_open(&config);
  const MnkSourceInfo *info = mnk_source_info(source);
  g_assert_true(info->live);
  g_assert_cmpint(info->width, ==, PATTERN_WIDTH);
  g_assert_cmpint(info->duration_ms, <, 0);
  g_assert_cmpstr(info->codec, ==, "h264");
  g_autoptr(ClipRead) read = clip_read(source, 100);
  g_assert_cmpuint(read->frames->len, ==, 100);
  assert_in_order(read);
  g_assert_cmpint(clip_frame(read, 0)->pts_ms, ==, 0);
  int first = clip_number(clip_frame(read, 0));
  for (guint i = 0; i < 100; i++) {
    const MnkFrame *frame = clip_frame(read, i);
    if (!udp) { /* datagrams may get lost */
      g_assert_cmpint(clip_number(frame), ==, first + (int)i);
      g_assert_cmpint(frame->pts_ms, ==, 40 * (gint64)i);
    }
    g_assert_cmpint(frame->arrival_us, >, 0);
  }
}

/* ---- Refusals ---- */

static char *refusal(const MnkSourceConfig *config, int *code) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkSource) source = mnk_source_open(config, &error);
  g_assert_null(source);
  g_assert_nonnull(error);
  g_test_message("%s", error->message);
  g_assert_true(error->domain == MNK_ERROR);
  *code = error->code;
  return g_strdup(error->message);
}

static void test_answers(void) {
  static const struct {
    const char *options, *part;
    int code;
  } cases[] = {
      {"--answer 401", "wants a user name and password", MNK_ERROR_SOURCE},
      {"--answer 403", "forbids the access", MNK_ERROR_SOURCE},
      {"--answer 404", "has no such stream", MNK_ERROR_NOT_FOUND},
      {"--answer silent", "did not answer in time", MNK_ERROR_SOURCE},
      {"--answer noise", "", MNK_ERROR_SOURCE},
      {"--stall-after 0", "did not answer in time", MNK_ERROR_SOURCE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Camera) camera = camera_new(cases[i].options);
    if (!camera)
      return;
    MnkSourceConfig config = rtsp_config(camera->address);
    config.timeout_ms = 700;
    int code;
    g_autofree char *message = refusal(&config, &code);
    g_assert_cmpint(code, ==, cases[i].code);
    g_assert_nonnull(strstr(message, cases[i].part));
    g_assert_true(g_str_has_prefix(message, camera->address));
  }
}

/* A port that was free a moment ago. The password stays out of the message. */
static void test_refused(void) {
  g_autoptr(GSocket) socket =
      g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
  g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
  g_assert_true(g_socket_bind(socket, any, FALSE, NULL));
  g_autoptr(GSocketAddress) bound = g_socket_get_local_address(socket, NULL);
  guint16 port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
  g_socket_close(socket, NULL);
  g_autofree char *address = g_strdup_printf("rtsp://me:secret@127.0.0.1:%d/x", port);
  MnkSourceConfig config = rtsp_config(address);
  int code;
  g_autofree char *message = refusal(&config, &code);
  g_assert_cmpint(code, ==, MNK_ERROR_SOURCE);
  g_assert_nonnull(strstr(message, "refused the connection"));
  g_autofree char *expected = g_strdup_printf("rtsp://127.0.0.1:%d/x refused", port);
  g_assert_true(g_str_has_prefix(message, expected));
}

/* ---- Lost and found ---- */

static gpointer run_clock(gpointer data) {
  gint *stop = ((gpointer *)data)[1];
  while (!g_atomic_int_get(stop)) {
    mnk_clock_advance(((gpointer *)data)[0], 5000);
    g_usleep(1000);
  }
  return NULL;
}

static void test_comes_back(void) {
  g_autoptr(Camera) camera = camera_new("--die-after 60 --down 0.3");
  if (!camera)
    return;
  MnkSourceConfig config = rtsp_config(camera->address);
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) before = clip_read(source, G_MAXUINT);
  g_assert_cmpint(before->last, ==, MNK_READ_GAP);
  g_assert_cmpuint(before->frames->len, >=, 50);
  assert_in_order(before);
  gint64 start_ms, end_ms;
  mnk_source_last_gap(source, &start_ms, &end_ms);
  gint64 last_ms = clip_frame(before, before->frames->len - 1)->pts_ms;
  g_test_message("last frame %d, gap %d to %d", (int)last_ms, (int)start_ms, (int)end_ms);
  g_assert_cmpint(start_ms, ==, last_ms + 40);
  /* The backoff starts with half a second. */
  g_assert_cmpint(end_ms, >=, last_ms + 500);
  g_autoptr(ClipRead) after = clip_read(source, 30);
  g_assert_cmpuint(after->frames->len, ==, 30);
  g_assert_cmpint(clip_frame(after, 0)->pts_ms, ==, end_ms);
  g_assert_cmpuint(clip_frame(after, 0)->epoch, ==, 1);
  g_assert_true(clip_frame(after, 0)->sampled);
  assert_in_order(after);
  MnkSourceCounters counters;
  mnk_source_counters(source, &counters);
  g_assert_cmpuint(counters.reconnects, ==, 1);
}

static void test_gone_for_good(void) {
  g_autoptr(Camera) camera = camera_new("--die-after 40");
  if (!camera)
    return;
  g_autoptr(MnkClock) clock = mnk_clock_fake_new(1000000, 1000000);
  gint stop = 0;
  gpointer context[] = {clock, &stop};
  GThread *thread = g_thread_new("clock", run_clock, context);
  MnkSourceConfig config = rtsp_config(camera->address);
  config.clock = clock;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpint(read->last, ==, MNK_READ_ERROR);
  g_assert_cmpuint(read->frames->len, >=, 30);
  g_assert_error(read->error, MNK_ERROR, MNK_ERROR_SOURCE);
  g_test_message("%s", read->error->message);
  g_assert_nonnull(strstr(read->error->message, "could not be reached again in 3 attempts"));
  g_atomic_int_set(&stop, 1);
  g_thread_join(thread);
}

/* A camera that falls silent counts as lost, and is asked again. */
static void test_falls_silent(void) {
  g_autoptr(Camera) camera = camera_new("--stall-after 50");
  if (!camera)
    return;
  MnkSourceConfig config = rtsp_config(camera->address);
  config.timeout_ms = 600;
  g_autoptr(MnkSource) source = clip_open(&config);
  g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
  g_assert_cmpint(read->last, ==, MNK_READ_GAP);
  g_assert_cmpuint(read->frames->len, >=, 40);
}

static gpointer interrupt_soon(gpointer source) {
  g_usleep(300000);
  mnk_source_interrupt(source);
  return NULL;
}

static void test_interrupt(void) {
  static const char *const options[] = {"--stall-after 50", "--die-after 50"};
  for (guint i = 0; i < G_N_ELEMENTS(options); i++) {
    g_autoptr(Camera) camera = camera_new(options[i]);
    if (!camera)
      return;
    MnkSourceConfig config = rtsp_config(camera->address);
    config.timeout_ms = 30000;
    config.reconnect_max = 1000;
    g_autoptr(MnkSource) source = clip_open(&config);
    GThread *thread = g_thread_new("interrupt", interrupt_soon, source);
    gint64 start = g_get_monotonic_time();
    g_autoptr(ClipRead) read = clip_read(source, G_MAXUINT);
    g_assert_cmpint(read->last, ==, MNK_READ_ERROR);
    g_assert_error(read->error, MNK_ERROR, MNK_ERROR_CANCELLED);
    g_test_message("after %d ms", (int)((g_get_monotonic_time() - start) / 1000));
    g_thread_join(thread);
  }
}

/* ---- Cameras ---- */

static void test_no_camera(void) {
  static const struct {
    const char *path, *part;
    int code;
  } cases[] = {
      {"/dev/video4711", "there is no camera /dev/video4711", MNK_ERROR_NOT_FOUND},
      {"/dev/null", "/dev/null is not a camera", MNK_ERROR_SOURCE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    MnkSourceConfig config = rtsp_config(cases[i].path);
    config.kind = MNK_SOURCE_CAMERA;
    int code;
    g_autofree char *message = refusal(&config, &code);
    g_assert_cmpint(code, ==, cases[i].code);
    g_assert_cmpstr(message, ==, cases[i].part);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/media/live/tcp", GINT_TO_POINTER(FALSE), test_read);
  g_test_add_data_func("/media/live/udp", GINT_TO_POINTER(TRUE), test_read);
  g_test_add_func("/media/live/answers", test_answers);
  g_test_add_func("/media/live/refused", test_refused);
  g_test_add_func("/media/live/comes-back", test_comes_back);
  g_test_add_func("/media/live/gone-for-good", test_gone_for_good);
  g_test_add_func("/media/live/falls-silent", test_falls_silent);
  g_test_add_func("/media/live/interrupt", test_interrupt);
  g_test_add_func("/media/live/no-camera", test_no_camera);
  return g_test_run();
}
