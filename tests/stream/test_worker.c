/* The worker's half of a stream, by the messages that the server's half sends and gets. */
#include "worker_peer.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* ---- what is seen ---- */

static void test_seen(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->live.pictures = TRUE;
  setup->live.summary_dim = 12;
  peer_open(peer, 1, setup, -1);
  g_autoptr(GBytes) red = jpeg_plain(320, 200, 220, 20, 20),
                    blue = jpeg_plain(320, 200, 20, 20, 220);
  peer_push(peer, 1, red, 500);
  peer_push(peer, 1, blue, 1250);
  peer_push(peer, 1, blue, 1900);

  g_autoptr(MnkJson) json = NULL;
  g_autoptr(MnkMessage) opened = peer_next(peer, 1, 0);
  g_assert_cmpint(opened->type, ==, MNK_MSG_OPENED);
  const MnkJsonValue *info = peer_content(opened, &json);
  g_assert_cmpint(mnk_json_int(mnk_json_get(info, "width"), 0), ==, 320);
  g_assert_cmpint(mnk_json_int(mnk_json_get(info, "height"), 0), ==, 200);
  g_assert_true(mnk_json_bool(mnk_json_get(info, "live"), FALSE));

  /* The picture before its observation, and the very bytes that were handed in. */
  g_autoptr(MnkJson) json_picture = NULL;
  g_autoptr(MnkMessage) picture = peer_next(peer, 1, 0);
  g_assert_cmpint(picture->type, ==, MNK_MSG_PICTURE);
  const MnkJsonValue *place = peer_content(picture, &json_picture);
  guint slot = (guint)mnk_json_int(mnk_json_get(place, "slot"), -1);
  gsize length = (gsize)mnk_json_int(mnk_json_get(place, "length"), 0);
  g_assert_cmpmem(mnk_slots_bytes(peer->slots, slot), length, g_bytes_get_data(red, NULL),
                  g_bytes_get_size(red));

  g_autofree MnkObservation *first = peer_observation(peer, 1), *second = peer_observation(peer, 1),
                            *third = peer_observation(peer, 1);
  g_assert_cmpint(first->type, ==, MNK_OBS_FRAME);
  g_assert_cmpstr(first->labels[0].name, ==, "strawberry");
  g_assert_cmpint(first->pts_ms, ==, 500);
  g_assert_cmpint(first->step_ms, ==, 1000);
  g_assert_cmpuint(first->n_summary, ==, 12);
  g_assert_cmpfloat(first->summary[0], >, first->summary[1]);
  g_assert_cmpstr(second->labels[0].name, ==, "seashore");
  g_assert_cmpint(second->step_ms, ==, 750);
  g_assert_cmpint(third->type, ==, MNK_OBS_DUPLICATE);
  g_assert_cmpuint(third->seq, ==, 2);

  peer_send(peer, MNK_MSG_CLOSE, 1, "{}");
  gint64 end_ms;
  MnkWatchCounters counters = peer_ended(peer, 1, &end_ms);
  g_assert_cmpint(end_ms, ==, 1900 + 650);
  g_assert_cmpuint(counters.received, ==, 3);
  g_assert_cmpuint(counters.encoded, ==, 2);
  g_assert_cmpuint(counters.gated, ==, 1);
  g_assert_cmpuint(counters.decoded, ==, 3);
  guint64 judged = 0;
  for (guint i = 0; i < MNK_GATE_BUCKETS; i++)
    judged += counters.gate_counts[i];
  g_assert_cmpuint(judged, ==, 3);
  peer_wait_freed(peer, 3);
  peer_assert_identity(&counters);
}

/* The same picture with an EXIF tag: to be turned by 90 degrees. */
static GBytes *turned(GBytes *jpeg) {
  static const guint8 exif[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,    'M', 'M',
                                0,    42,   0, 0,  0,   8,   0,   1,   1, 0x12, 0,   3,
                                0,    0,    0, 1,  0,   6,   0,   0,   0, 0,    0,   0};
  gsize length;
  const guint8 *bytes = g_bytes_get_data(jpeg, &length);
  GByteArray *made = g_byte_array_append(g_byte_array_new(), bytes, 2);
  g_byte_array_append(made, exif, sizeof exif);
  g_byte_array_append(made, bytes + 2, (guint)length - 2);
  return g_byte_array_free_to_bytes(made);
}

/* Larger than wanted, or turned: looked at upright and small, and told so. */
static void test_pictures_made(void) {
  static const struct {
    int width, height;
    gboolean turned;
    guint shown_width, shown_height;
  } CASES[] = {{400, 200, FALSE, 100, 50}, {80, 40, TRUE, 40, 80}, {300, 600, TRUE, 100, 50}};
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->live.pictures = TRUE;
  setup->live.picture_size = 100;
  setup->live.gate_mse = 0;
  peer_open(peer, 1, setup, -1);
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GBytes) plain = jpeg_plain(CASES[i].width, CASES[i].height, 20, 220, 20);
    g_autoptr(GBytes) jpeg = CASES[i].turned ? turned(plain) : g_bytes_ref(plain);
    peer_push(peer, 1, jpeg, i * 1000);
    g_autoptr(MnkMessage) picture = peer_next(peer, 1, MNK_MSG_PICTURE);
    g_autoptr(MnkJson) json = NULL;
    const MnkJsonValue *place = peer_content(picture, &json);
    guint slot = (guint)mnk_json_int(mnk_json_get(place, "slot"), -1);
    gsize length = (gsize)mnk_json_int(mnk_json_get(place, "length"), 0);
    MnkJpegInfo info;
    g_assert_true(mnk_jpeg_probe(mnk_slots_bytes(peer->slots, slot), length, &info, NULL));
    g_assert_cmpuint(info.width, ==, CASES[i].shown_width);
    g_assert_cmpuint(info.height, ==, CASES[i].shown_height);
    g_assert_cmpuint(info.exif_orientation, ==, 1);
  }
}

/* Steps between frames are what they were, but not more than a pause can be bridged. */
static void test_steps(void) {
  static const gint64 PTS[] = {0, 1, 40000, 40500}, STEPS[] = {1000, 1, 4000, 500};
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  peer_open(peer, 1, setup, -1);
  for (guint i = 0; i < G_N_ELEMENTS(PTS); i++) {
    g_autoptr(GBytes) jpeg = jpeg_noise(64, 64, i);
    peer_push(peer, 1, jpeg, PTS[i]);
  }
  for (guint i = 0; i < G_N_ELEMENTS(PTS); i++) {
    g_autofree MnkObservation *obs = peer_observation(peer, 1);
    g_assert_cmpint(obs->pts_ms, ==, PTS[i]);
    g_assert_cmpint(obs->step_ms, ==, STEPS[i]);
  }
}

/* ---- what is not ---- */

static void test_late(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  g_autoptr(GBytes) jpeg = jpeg_plain(64, 64, 1, 2, 3);
  peer_open(peer, 1, setup, -1);
  peer_push(peer, 1, jpeg, 1000);
  peer_push(peer, 1, jpeg, 1000);
  peer_push(peer, 1, jpeg, 400);
  peer_send(peer, MNK_MSG_CLOSE, 1, "{}");
  MnkWatchCounters counters = peer_ended(peer, 1, NULL);
  g_assert_cmpuint(counters.late, ==, 2);
  peer_assert_identity(&counters);
}

static void test_damaged(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->max_pixels = 10000;
  peer_open(peer, 1, setup, -1);
  g_autoptr(GBytes) good = jpeg_plain(64, 64, 1, 2, 3), large = jpeg_plain(101, 100, 1, 2, 3);
  g_autoptr(GBytes) text = g_bytes_new_static("not a picture", 13);
  g_autoptr(GBytes) cut = g_bytes_new_from_bytes(good, 0, g_bytes_get_size(good) - 40);
  g_autoptr(GBytes) byte = g_bytes_new_from_bytes(good, 0, 1);
  peer_push(peer, 1, text, 0);
  peer_push(peer, 1, cut, 1);
  peer_push(peer, 1, byte, 2);
  peer_mark(peer, 1, 1);
  mnk_message_free(peer_next(peer, 1, MNK_MSG_MARKED));
  peer_push(peer, 1, large, 3);
  peer_push(peer, 1, good, 4);
  peer_send(peer, MNK_MSG_CLOSE, 1, "{}");
  MnkWatchCounters counters = peer_ended(peer, 1, NULL);
  g_assert_cmpuint(counters.dropped_damaged, ==, 4);
  g_assert_cmpuint(counters.encoded, ==, 1);
  peer_assert_identity(&counters);
}

/* Frames that come faster than the rate are gated, over time as many as the rate says. */
static void test_rate(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->live.fps = 2;
  setup->live.gate_mse = 0;
  peer_open(peer, 1, setup, -1);
  g_autoptr(GBytes) jpeg = jpeg_plain(64, 64, 1, 2, 3);
  for (guint i = 0; i < 61; i++) {
    peer_push(peer, 1, jpeg, i * 333);
    peer_mark(peer, 1, i);
    mnk_message_free(peer_next(peer, 1, MNK_MSG_MARKED));
  }
  MnkWatchLive live = setup->live;
  live.fps = 0;
  peer_set(peer, 1, &live);
  for (guint i = 0; i < 5; i++) {
    peer_push(peer, 1, jpeg, 30000 + i);
    peer_mark(peer, 1, 100 + i);
    mnk_message_free(peer_next(peer, 1, MNK_MSG_MARKED));
  }
  peer_send(peer, MNK_MSG_CLOSE, 1, "{}");
  MnkWatchCounters counters = peer_ended(peer, 1, NULL);
  g_assert_cmpuint(counters.received, ==, 66);
  g_assert_cmpuint(counters.encoded, ==, 41 + 5);
  g_assert_cmpuint(counters.gated, ==, 20);
  peer_assert_identity(&counters);
}

/* ---- order ---- */

static void test_marks(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  peer_open(peer, 1, setup, -1);
  peer_open(peer, 2, setup, -1);
  for (guint round = 1; round <= 20; round++) {
    for (guint i = 0; i < 3; i++) {
      g_autoptr(GBytes) jpeg = jpeg_noise(320, 240, round * 3 + i);
      peer_push(peer, 1, jpeg, round * 300 + i * 100);
      peer_push(peer, 2, jpeg, round * 300 + i * 100);
    }
    peer_mark(peer, 1, round);
    g_autoptr(MnkMessage) marked = peer_next(peer, 1, MNK_MSG_MARKED);
    g_autoptr(MnkJson) json = NULL;
    g_assert_cmpint(mnk_json_int(mnk_json_get(peer_content(marked, &json), "number"), 0), ==,
                    round);
    /* All three are there, and they came before it. */
    for (guint i = 0; i < 3; i++) {
      guint waiting = peer->messages.length;
      g_autofree MnkObservation *obs = peer_observation(peer, 1);
      g_assert_cmpuint(peer->messages.length, ==, waiting - 1);
      g_assert_cmpint(obs->pts_ms, ==, round * 300 + i * 100);
    }
  }
}

/* A mark is not lost, however many there are: the highest number is answered. */
static void test_many_marks(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  g_autoptr(GBytes) jpeg = jpeg_noise(640, 480, 1);
  peer_open(peer, 1, setup, -1);
  for (guint i = 0; i < 2000; i++) {
    if (i % 20 == 0)
      peer_push(peer, 1, jpeg, i);
    peer_mark(peer, 1, i);
  }
  for (gint64 number = 0; number < 1999;) {
    g_autoptr(MnkMessage) marked = peer_next(peer, 1, MNK_MSG_MARKED);
    g_autoptr(MnkJson) json = NULL;
    gint64 next = mnk_json_int(mnk_json_get(peer_content(marked, &json), "number"), -1);
    g_assert_cmpint(next, >=, number);
    number = next;
  }
}

/* ---- live changes ---- */

static void test_set(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  peer_open(peer, 1, setup, -1);
  g_autoptr(GBytes) jpeg = jpeg_plain(64, 64, 1, 2, 3);
  MnkWatchLive live = setup->live;
  peer_push(peer, 1, jpeg, 0);
  peer_push(peer, 1, jpeg, 100);
  g_autofree MnkObservation *first = peer_observation(peer, 1), *second = peer_observation(peer, 1);
  g_assert_cmpint(second->type, ==, MNK_OBS_DUPLICATE);
  g_assert_cmpuint(first->n_summary, ==, 0);
  live.gate_mse = 0;
  live.summary_dim = 5;
  live.pictures = TRUE;
  peer_set(peer, 1, &live);
  peer_push(peer, 1, jpeg, 200);
  g_autofree MnkObservation *third = peer_observation(peer, 1);
  g_assert_cmpint(third->type, ==, MNK_OBS_FRAME);
  g_assert_cmpuint(third->n_summary, ==, 5);
  mnk_message_free(peer_next(peer, 1, MNK_MSG_PICTURE));
  /* A bad one changes nothing. */
  peer_send(peer, MNK_MSG_SET, 1, "{\"fps\":-1}");
  peer_send(peer, MNK_MSG_SET, 1, "[");
  peer_push(peer, 1, jpeg, 300);
  g_autofree MnkObservation *fourth = peer_observation(peer, 1);
  g_assert_cmpint(fourth->type, ==, MNK_OBS_FRAME);
}

/* ---- sources that are read ---- */

/* A file of JPEGs one after the other. */
static int open_clip(guint frames) {
  g_autofree char *path = NULL;
  g_autoptr(GError) error = NULL;
  int fd = g_file_open_tmp("manako-XXXXXX.mjpeg", &path, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < frames; i++) {
    g_autoptr(GBytes) jpeg = jpeg_noise(320, 240, i / 10);
    gsize length;
    const void *bytes = g_bytes_get_data(jpeg, &length);
    g_assert_cmpint(write(fd, bytes, length), ==, (gssize)length);
  }
  close(fd);
  fd = g_open(path, O_RDONLY | O_CLOEXEC, 0);
  g_unlink(path);
  return fd;
}

static void test_preview(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->kind = MNK_SOURCE_FILE;
  setup->live.fps = 5;
  setup->live.preview_fps = 1000;
  setup->live.preview_size = 96;
  int fd = open_clip(50);
  peer_open(peer, 1, setup, fd);
  close(fd);
  g_autoptr(MnkMessage) preview = peer_next(peer, 1, MNK_MSG_PREVIEW);
  g_autoptr(MnkJson) json = NULL;
  const MnkJsonValue *place = peer_content(preview, &json);
  MnkJpegInfo info;
  g_assert_true(mnk_jpeg_probe(
      mnk_slots_bytes(peer->slots, (guint)mnk_json_int(mnk_json_get(place, "slot"), -1)),
      (gsize)mnk_json_int(mnk_json_get(place, "length"), 0), &info, NULL));
  g_assert_cmpuint(info.width, ==, 96);
  g_assert_cmpuint(info.height, ==, 72);
  MnkWatchCounters counters = peer_ended(peer, 1, NULL);
  g_assert_cmpuint(counters.decoded, ==, 50);
  g_assert_cmpuint(counters.received, ==, 10);
  peer_assert_identity(&counters);
}

/* Its end comes while its one frame waits or is looked at, or after. */
static void test_short_files(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->kind = MNK_SOURCE_FILE;
  setup->live.fps = 1;
  for (guint32 s = 1; s <= 100; s++) {
    int fd = open_clip(1);
    peer_open(peer, s, setup, fd);
    close(fd);
    MnkWatchCounters counters = peer_ended(peer, s, NULL);
    g_assert_cmpuint(counters.encoded, ==, 1);
  }
}

/* The rate of a running file, and marks in it. */
static void test_file_set(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->kind = MNK_SOURCE_FILE;
  setup->live.fps = 1;
  setup->live.gate_mse = 0;
  setup->loop = setup->realtime = TRUE;
  int fd = open_clip(100);
  peer_open(peer, 1, setup, fd);
  close(fd);
  g_autofree MnkObservation *first = peer_observation(peer, 1);
  g_assert_cmpint(first->step_ms, ==, 1000);
  MnkWatchLive live = setup->live;
  live.fps = 20;
  peer_set(peer, 1, &live);
  for (gint64 step_ms = 1000; step_ms != 50;) {
    g_autofree MnkObservation *obs = peer_observation(peer, 1);
    step_ms = obs->step_ms;
  }
  live.fps = 0; /* a source that is read keeps its rate */
  peer_set(peer, 1, &live);
  peer_mark(peer, 1, 3);
  mnk_message_free(peer_next(peer, 1, MNK_MSG_MARKED));
  g_autofree MnkObservation *last = peer_observation(peer, 1);
  g_assert_cmpint(last->step_ms, ==, 50);
}

/* A file that waits: nothing of it is told, whatever else is; then it goes on, or is given up. */
static void test_paused(void) {
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  setup->kind = MNK_SOURCE_FILE;
  setup->live.fps = 5;
  setup->live.gate_mse = 0;
  setup->live.paused = TRUE;
  for (guint32 s = 1; s <= 2; s++) {
    int fd = open_clip(50);
    peer_open(peer, s, setup, fd);
    close(fd);
    mnk_message_free(peer_next(peer, s, MNK_MSG_OPENED));
  }
  peer_mark(peer, 1, 7);
  for (MnkMessageType type = MNK_MSG_COUNTERS; type != MNK_MSG_MARKED;) {
    g_autoptr(MnkMessage) message = peer_next(peer, 1, 0);
    type = message->type;
    g_assert_true(type == MNK_MSG_COUNTERS || type == MNK_MSG_MARKED);
  }
  MnkWatchLive live = setup->live;
  live.paused = FALSE;
  peer_set(peer, 1, &live);
  MnkWatchCounters counters = peer_ended(peer, 1, NULL);
  g_assert_cmpuint(counters.received, ==, 10);
  peer_send(peer, MNK_MSG_CLOSE, 2, "{}");
  g_autoptr(MnkMessage) ended = peer_next(peer, 2, MNK_MSG_ENDED);
  g_autoptr(MnkJson) json = NULL;
  g_autoptr(GError) failure = NULL;
  gint64 end_ms;
  g_assert_true(mnk_ended_read(peer_content(ended, &json), &end_ms, &failure, NULL));
  g_assert_error(failure, MNK_ERROR, MNK_ERROR_CANCELLED);
  g_assert_cmpint(end_ms, ==, 0);
}

/* Real pictures, so close to each other that the gate stops some, as JPEGs. NULL after
 * g_test_skip().
 */
static GPtrArray *street(void) {
  g_autofree char *cache = mnk_path_cache();
  g_autofree char *path = g_build_filename(cache, "samples", "bikes.mp4", NULL);
  g_autoptr(GPtrArray) jpegs = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  MnkSourceConfig config = {.kind = MNK_SOURCE_FILE,
                            .address = path,
                            .fd = g_open(path, O_RDONLY | O_CLOEXEC, 0),
                            .fps = 25,
                            .to_ms = -1,
                            .max_pixels = 36000000};
  if (config.fd < 0) {
    g_test_skip("the sample video is not there");
    return NULL;
  }
  g_autoptr(MnkSource) source = mnk_source_open(&config, NULL);
  for (;;) {
    g_autoptr(MnkFrame) frame = NULL;
    g_autoptr(MnkAudio) audio = NULL;
    if (mnk_source_read(source, &frame, &audio, NULL) != MNK_READ_FRAME)
      return g_steal_pointer(&jpegs);
    g_autoptr(MnkFrame) planes = mnk_frame_convert(frame, MNK_FRAME_I420, 640, NULL);
    g_ptr_array_add(jpegs, mnk_frame_to_jpeg(planes, 85, NULL));
  }
}

static int file_of(const GPtrArray *jpegs) {
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp("manako-XXXXXX.mjpeg", &path, NULL);
  for (guint i = 0; i < jpegs->len; i++) {
    gsize length;
    const void *bytes = g_bytes_get_data(jpegs->pdata[i], &length);
    g_assert_cmpint(write(fd, bytes, length), ==, (gssize)length);
  }
  close(fd);
  fd = g_open(path, O_RDONLY | O_CLOEXEC, 0);
  g_unlink(path);
  return fd;
}

/* The gate decides about a pushed picture as it does about the same one from a file. */
static void test_like_a_file(void) {
  g_autoptr(GPtrArray) jpegs = street();
  if (jpegs == NULL)
    return;
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  peer_open(peer, 1, setup, -1);
  setup->kind = MNK_SOURCE_FILE;
  setup->live.fps = 25;
  int fd = file_of(jpegs);
  peer_open(peer, 2, setup, fd);
  close(fd);
  guint agreed = 0, accepted[2] = {0};
  for (guint i = 0; i < jpegs->len; i++) {
    peer_push(peer, 1, jpegs->pdata[i], i * 40);
    g_autofree MnkObservation *pushed = peer_observation(peer, 1),
                              *read = peer_observation(peer, 2);
    agreed += pushed->type == read->type;
    accepted[0] += pushed->type == MNK_OBS_FRAME;
    accepted[1] += read->type == MNK_OBS_FRAME;
  }
  g_test_message("%u of %u alike; accepted %u and %u", agreed, jpegs->len, accepted[0],
                 accepted[1]);
  g_assert_cmpuint(accepted[1], >, jpegs->len / 4);
  g_assert_cmpuint(accepted[1], <, jpegs->len * 3 / 4);
  g_assert_cmpuint(agreed * 10, >=, jpegs->len * 9);
}

/* ---- a server that errs ---- */

static void test_bad_messages(void) {
  static const char *const FRAMES[] = {
      "{}",
      "[",
      "",
      "{\"slot\":-1,\"length\":1,\"pts_ms\":0,\"arrival_us\":0}",
      "{\"slot\":5000,\"length\":1,\"pts_ms\":0,\"arrival_us\":0}",
      "{\"slot\":1,\"length\":0,\"pts_ms\":0,\"arrival_us\":0}",
      "{\"slot\":1,\"length\":4194305,\"pts_ms\":0,\"arrival_us\":0}",
      "{\"slot\":1,\"length\":1,\"pts_ms\":-5,\"arrival_us\":0}",
      "{\"slot\":1,\"length\":1,\"pts_ms\":9000000000000,\"arrival_us\":0}",
      "{\"slot\":1,\"length\":1,\"pts_ms\":0,\"arrival_us\":\"x\"}",
      "{\"slot\":1,\"length\":1e99,\"pts_ms\":0,\"arrival_us\":0}",
  };
  g_autoptr(Peer) peer = peer_new();
  g_autoptr(MnkWatchSetup) setup = peer_setup();
  peer_open(peer, 1, setup, -1);
  for (guint i = 0; i < G_N_ELEMENTS(FRAMES); i++) {
    peer_send(peer, MNK_MSG_FRAME, 1, FRAMES[i]);
    peer_send(peer, MNK_MSG_MARK, 1, FRAMES[i]);
    peer_send(peer, MNK_MSG_SET, 1, FRAMES[i]);
    peer_send(peer, MNK_MSG_SLOT_FREE, 1, FRAMES[i]);
  }
  peer_send(peer, MNK_MSG_INBOX, 0, "{}");
  peer_send(peer, MNK_MSG_OPEN, 9, "{}");
  mnk_message_free(peer_next(peer, 9, MNK_MSG_ENDED));
  peer_open(peer, 1, setup, -1); /* known already */
  mnk_message_free(peer_next(peer, 1, MNK_MSG_ENDED));
  /* Frames for nobody: their slots come back. */
  g_autoptr(GBytes) jpeg = jpeg_plain(16, 16, 1, 2, 3);
  for (guint i = 0; i < 3 * MNK_INBOX_SLOTS; i++)
    peer_push(peer, 77, jpeg, i);
  peer_mark(peer, 77, 1);
  peer_send(peer, MNK_MSG_CLOSE, 77, "{}");
  peer_push(peer, 1, jpeg, 5);
  g_autofree MnkObservation *obs = peer_observation(peer, 1);
  g_assert_cmpint(obs->pts_ms, ==, 5);
}

/* Faults that tests of the server play: in a process of its own. */
static void test_fault(void) {
  if (g_test_subprocess()) {
    Peer *peer = peer_new();
    MnkWatchSetup *setup = peer_setup();
    g_autoptr(GBytes) jpeg = jpeg_plain(16, 16, 1, 2, 3);
    g_free(setup->fault);
    setup->fault = g_strdup("abort@2000");
    peer_open(peer, 1, setup, -1);
    peer_push(peer, 1, jpeg, 1000);
    g_autofree MnkObservation *obs = peer_observation(peer, 1);
    peer_push(peer, 1, jpeg, 2000);
    g_autofree MnkObservation *never = peer_observation(peer, 1);
    return;
  }
  g_test_trap_subprocess(NULL, 0, 0);
  g_test_trap_assert_failed();
  g_test_trap_assert_stderr_unmatched("*ERROR*");
}

/* ---- parts ---- */

static MnkSample *sample(MnkSampleKind kind, gint64 number) {
  MnkSample *made = g_new0(MnkSample, 1);
  made->kind = kind;
  made->number = number;
  return made;
}

static void assert_next(MnkBacklog *backlog, gboolean frames, gint64 number) {
  g_autoptr(MnkSample) next = mnk_backlog_pop(backlog, frames);
  g_assert_cmpint(next != NULL ? next->number : -1, ==, number);
}

/* Each kind gives way to its own, and marks to none. */
static void test_backlog(void) {
  MnkBacklog *backlog = mnk_backlog_new(2, FALSE);
  static const MnkSampleKind F = MNK_SAMPLE_FRAME, D = MNK_SAMPLE_DUPLICATE, M = MNK_SAMPLE_MARK;
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(F, 1)), ==, 0);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(M, 2)), ==, 0);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(D, 3)), ==, 0);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(F, 4)), ==, 0);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(F, 5)), ==, 1);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(D, 6)), ==, 0);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(D, 7)), ==, 1);
  g_assert_cmpuint(mnk_backlog_count(backlog, MNK_SAMPLE_FRAME), ==, 2);
  assert_next(backlog, FALSE, 2);
  assert_next(backlog, FALSE, -1);
  assert_next(backlog, TRUE, 4);
  assert_next(backlog, TRUE, 5);
  assert_next(backlog, FALSE, 6);
  assert_next(backlog, FALSE, 7);
  g_assert_true(mnk_backlog_is_empty(backlog));
  for (gint64 i = 0; i < 1000; i++)
    g_assert_cmpuint(mnk_backlog_push(backlog, sample(M, i)), ==, 0);
  g_assert_cmpuint(mnk_backlog_count(backlog, MNK_SAMPLE_MARK), <=, 64);
  gint64 last = -1;
  while (!mnk_backlog_is_empty(backlog)) {
    g_autoptr(MnkSample) mark = mnk_backlog_pop(backlog, FALSE);
    g_assert_cmpint(mark->number, >, last);
    last = mark->number;
  }
  g_assert_cmpint(last, ==, 999);
  mnk_backlog_set_max(backlog, 5);
  for (gint64 i = 0; i < 5; i++)
    g_assert_cmpuint(mnk_backlog_push(backlog, sample(F, i)), ==, 0);
  mnk_backlog_set_max(backlog, 2);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(F, 5)), ==, 4);
  assert_next(backlog, TRUE, 4);
  mnk_backlog_close(backlog);
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(F, 1)), ==, 1);
  mnk_backlog_free(backlog);
}

static gpointer push_four(gpointer backlog) {
  guint dropped = 0;
  for (gint64 i = 0; i < 4; i++)
    dropped += mnk_backlog_push(backlog, sample(MNK_SAMPLE_FRAME, i));
  return GUINT_TO_POINTER(dropped);
}

/* A file's reader waits for room; a mark does not. */
static void test_backlog_waits(void) {
  MnkBacklog *backlog = mnk_backlog_new(1, TRUE);
  GThread *thread = g_thread_new("pusher", push_four, backlog);
  for (gint64 i = 0; i < 3; i++) {
    while (mnk_backlog_is_empty(backlog))
      g_thread_yield();
    assert_next(backlog, TRUE, i);
  }
  while (mnk_backlog_is_empty(backlog))
    g_thread_yield();
  g_assert_cmpuint(mnk_backlog_push(backlog, sample(MNK_SAMPLE_MARK, 9)), ==, 0);
  g_assert_cmpuint(GPOINTER_TO_UINT(g_thread_join(thread)), ==, 0);
  thread = g_thread_new("pusher", push_four, backlog);
  mnk_backlog_close(backlog);
  g_assert_cmpuint(GPOINTER_TO_UINT(g_thread_join(thread)), ==, 4);
  mnk_backlog_free(backlog);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/stream/worker/seen", test_seen);
  g_test_add_func("/stream/worker/pictures made", test_pictures_made);
  g_test_add_func("/stream/worker/steps", test_steps);
  g_test_add_func("/stream/worker/late", test_late);
  g_test_add_func("/stream/worker/damaged", test_damaged);
  g_test_add_func("/stream/worker/rate", test_rate);
  g_test_add_func("/stream/worker/marks", test_marks);
  g_test_add_func("/stream/worker/many marks", test_many_marks);
  g_test_add_func("/stream/worker/set", test_set);
  g_test_add_func("/stream/worker/preview", test_preview);
  g_test_add_func("/stream/worker/short files", test_short_files);
  g_test_add_func("/stream/worker/file set", test_file_set);
  g_test_add_func("/stream/worker/paused", test_paused);
  g_test_add_func("/stream/worker/like a file", test_like_a_file);
  g_test_add_func("/stream/worker/bad messages", test_bad_messages);
  g_test_add_func("/stream/worker/fault", test_fault);
  g_test_add_func("/stream/worker/backlog", test_backlog);
  g_test_add_func("/stream/worker/backlog waits", test_backlog_waits);
  return g_test_run();
}
