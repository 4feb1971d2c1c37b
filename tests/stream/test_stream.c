/* What a stream understands of its source's name, and what its two halves tell each other. */
#include <string.h>

#include "stream/server_priv.h"

/* ---- names of sources ---- */

static void test_names(void) {
  static const struct {
    const char *text;
    MnkSourceKind kind;
    const char *address;
    const char *id;
  } CASES[] = {
      {"-", MNK_SOURCE_FILE, "standard input", "stdin"},
      {"camera", MNK_SOURCE_CAMERA, "/dev/video0", "video0"},
      {"camera:3", MNK_SOURCE_CAMERA, "/dev/video3", "video3"},
      {"/dev/video12", MNK_SOURCE_CAMERA, "/dev/video12", "video12"},
      {"rtsp://host/a/b.sdp", MNK_SOURCE_RTSP, "rtsp://host/a/b.sdp", "b"},
      {"rtsps://host:1/x%20y", MNK_SOURCE_RTSP, "rtsps://host:1/x%20y", "x_20y"},
      {"RTSP://host/x", MNK_SOURCE_RTSP, "rtsp://host/x", "x"},
      {"http://host/x.mp4", MNK_SOURCE_HTTP, "http://host/x.mp4", "x"},
      {"https://host/live/index.m3u8", MNK_SOURCE_HTTP, "https://host/live/index.m3u8", "index"},
      {"push", MNK_SOURCE_PUSHED, "push", "push"},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    MnkSourceName name;
    g_test_message("%s", CASES[i].text);
    g_assert_true(mnk_source_name_parse(CASES[i].text, &name, &error));
    g_assert_no_error(error);
    g_assert_cmpint(name.kind, ==, CASES[i].kind);
    g_assert_cmpstr(name.address, ==, CASES[i].address);
    gboolean network = CASES[i].kind == MNK_SOURCE_RTSP || CASES[i].kind == MNK_SOURCE_HTTP;
    g_assert_cmpint(name.network, ==, network);
    g_autofree char *id = mnk_source_name_id(&name);
    g_assert_cmpstr(id, ==, CASES[i].id);
    g_assert_true(mnk_stream_id_is_valid(id));
    mnk_source_name_clear(&name);
  }
}

static void test_names_refused(void) {
  static const struct {
    const char *text;
    MnkErrorCode code;
  } CASES[] = {
      {"", MNK_ERROR_USAGE},
      {"camera:", MNK_ERROR_USAGE},
      {"camera:-1", MNK_ERROR_USAGE},
      {"camera:99999", MNK_ERROR_USAGE},
      {"/dev/video", MNK_ERROR_USAGE},
      {"/dev/video0/../sda", MNK_ERROR_USAGE},
      {"ftp://host/x.mp4", MNK_ERROR_USAGE},
      {"concat://a", MNK_ERROR_USAGE},
      {"file:///etc/passwd", MNK_ERROR_BAD_INPUT},
      {"rtsp://host/a b", MNK_ERROR_BAD_INPUT},
      {"no/such/file.mp4", MNK_ERROR_NOT_FOUND},
      {"/", MNK_ERROR_NOT_FOUND},
      {"/dev/null", MNK_ERROR_NOT_FOUND},
      {"concat:a|b", MNK_ERROR_NOT_FOUND},
      {"subfile,,start,0,end,0,,:x", MNK_ERROR_NOT_FOUND},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    MnkSourceName name;
    g_test_message("%s", CASES[i].text);
    g_assert_false(mnk_source_name_parse(CASES[i].text, &name, &error));
    g_assert_error(error, MNK_ERROR, (gint)CASES[i].code);
  }
  g_autofree char *long_name = g_strnfill(5000, 'x');
  g_autoptr(GError) error = NULL;
  MnkSourceName name;
  g_assert_false(mnk_source_name_parse(long_name, &name, &error));
  g_assert_error(error, MNK_ERROR, MNK_ERROR_USAGE);
}

static void test_ids(void) {
  static const char *const GOOD[] = {
      "a", "A-b_9", "0123456789012345678901234567890123456789012345678901234567890123"};
  static const char *const BAD[] = {
      "",  "a b", "../x", "a/b",
      "ä", "a.b", "a\n",  "01234567890123456789012345678901234567890123456789012345678901234"};
  for (guint i = 0; i < G_N_ELEMENTS(GOOD); i++)
    g_assert_true(mnk_stream_id_is_valid(GOOD[i]));
  for (guint i = 0; i < G_N_ELEMENTS(BAD); i++)
    g_assert_false(mnk_stream_id_is_valid(BAD[i]));
}

/* ---- messages ---- */

static MnkJson *parse(const GString *text) {
  g_autoptr(GError) error = NULL;
  MnkJson *json = mnk_json_parse(text->str, text->len, NULL, &error);
  g_assert_no_error(error);
  return json;
}

/* A setup in which nothing is as it is by default. */
static void fill_setup(MnkWatchSetup *setup) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_assert_true(mnk_settings_set(settings, MNK_OPT_FPS, "2.5", NULL));
  g_assert_true(mnk_settings_set(settings, MNK_OPT_FROM, "1:30", NULL));
  mnk_watch_setup_init(setup, settings);
  setup->stream = g_strdup("s");
  setup->address = g_strdup("a \"quoted\" name\n");
  setup->outbound_allow = g_strdup("10.0.0.0/8");
  setup->kind = MNK_SOURCE_RTSP;
  setup->live.parts = MNK_PART_FACES | MNK_PART_TEXT;
  setup->live.summary_dim = 32;
  setup->live.preview_fps = 0.5;
  setup->live.preview_size = 320;
  setup->live.paused = TRUE;
}

static void test_watch_setup(void) {
  MnkWatchSetup setup, read;
  fill_setup(&setup);
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_setup_write(&setup, text);
  g_autoptr(MnkJson) json = parse(text);
  g_autoptr(GError) error = NULL;
  g_assert_true(mnk_watch_setup_read(mnk_json_root(json), &read, &error));
  g_assert_no_error(error);
  g_assert_cmpstr(read.address, ==, setup.address);
  g_assert_cmpstr(read.outbound_allow, ==, "10.0.0.0/8");
  g_assert_cmpfloat(read.live.fps, ==, 2.5);
  g_assert_cmpint(read.from_ms, ==, 90000);
  g_assert_cmpint(read.to_ms, ==, -1);
  g_assert_cmpint(read.kind, ==, MNK_SOURCE_RTSP);
  g_assert_cmpmem(&read.live, sizeof read.live, &setup.live, sizeof setup.live);
  g_assert_true(read.cuts && read.camera_motion && read.every_frame);
  mnk_watch_setup_clear(&setup);
  mnk_watch_setup_clear(&read);
}

/* A rate of 0 keeps every frame that is pushed; a source that is read needs a grid. */
static void test_watch_setup_fps(void) {
  static const MnkSourceKind KINDS[] = {MNK_SOURCE_FILE, MNK_SOURCE_PUSHED};
  for (guint i = 0; i < G_N_ELEMENTS(KINDS); i++) {
    MnkWatchSetup setup, read;
    fill_setup(&setup);
    setup.kind = KINDS[i];
    setup.live.fps = 0;
    g_autoptr(GString) text = g_string_new(NULL);
    mnk_watch_setup_write(&setup, text);
    mnk_watch_setup_clear(&setup);
    g_autoptr(MnkJson) json = parse(text);
    g_autoptr(GError) error = NULL;
    gboolean ok = mnk_watch_setup_read(mnk_json_root(json), &read, &error);
    g_assert_cmpint(ok, ==, KINDS[i] == MNK_SOURCE_PUSHED);
    if (ok)
      mnk_watch_setup_clear(&read);
    else
      g_assert_nonnull(strstr(error->message, "fps"));
  }
}

typedef gboolean (*ReadFunc)(const MnkJsonValue *value, GError **error);

static gboolean read_setup(const MnkJsonValue *value, GError **error) {
  MnkWatchSetup setup;
  return mnk_watch_setup_read(value, &setup, error);
}

static gboolean read_live(const MnkJsonValue *value, GError **error) {
  MnkWatchLive live;
  return mnk_watch_live_read(value, &live, error);
}

/* Every member is looked at: without it, or with another type, the message is refused. */
static void assert_members_needed(const GString *text, ReadFunc read, guint expected) {
  g_autoptr(MnkJson) whole = parse(text);
  MnkJsonIter iter = {0};
  const char *key;
  const MnkJsonValue *value;
  guint members = 0;
  while (mnk_json_next(mnk_json_root(whole), &iter, &key, &value)) {
    g_autofree char *from = g_strdup_printf("\"%s\":", key);
    g_autofree char *to = g_strdup_printf("\"%s\":[],\"was_%s\":", key, key);
    g_autoptr(GString) broken = g_string_new(text->str);
    g_assert_cmpuint(g_string_replace(broken, from, to, 0), ==, 1);
    g_autoptr(MnkJson) json = parse(broken);
    g_autoptr(GError) error = NULL;
    g_assert_false(read(mnk_json_root(json), &error));
    g_assert_nonnull(strstr(error->message, key));
    members++;
  }
  g_assert_cmpuint(members, ==, expected);
}

static void test_watch_setup_refused(void) {
  MnkWatchSetup setup;
  fill_setup(&setup);
  g_autoptr(GString) text = g_string_new(NULL), live = g_string_new(NULL);
  mnk_watch_setup_write(&setup, text);
  mnk_watch_live_write(&setup.live, live);
  mnk_watch_setup_clear(&setup);
  assert_members_needed(text, read_setup, 19);
  assert_members_needed(live, read_live, 10);
}

static void test_counters(void) {
  MnkWatchCounters counters = {.received = 12,
                               .encoded = 5,
                               .gated = 4,
                               .late = 1,
                               .dropped = 1,
                               .queued = 1,
                               .decoded = 300,
                               .damaged = 2,
                               .reconnects = 3,
                               .dropped_behind = 4,
                               .dropped_damaged = 5,
                               .waiting_jpegs = 6,
                               .waiting_looks = 8,
                               .decode_ms = 1.5,
                               .gate_ms = 3.25};
  counters.part_ms[4] = 2.5;
  counters.part_runs[4] = 7;
  counters.gate_counts[0] = 9;
  counters.gate_counts[MNK_GATE_BUCKETS - 1] = 10;
  g_assert_cmpuint(mnk_latency_bounds_n + 1, ==, MNK_GATE_BUCKETS);
  MnkWatchCounters read;
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_watch_counters_write(&counters, text);
  g_autoptr(MnkJson) json = parse(text);
  g_assert_true(mnk_watch_counters_read(mnk_json_root(json), &read, NULL));
  g_assert_cmpmem(&read, sizeof read, &counters, sizeof counters);
}

static void test_ended(void) {
  gint64 end_ms;
  GError *failure = NULL;
  g_autoptr(GError) why = g_error_new(MNK_ERROR, MNK_ERROR_SOURCE, "the camera \"x\" died");
  g_autoptr(GString) text = g_string_new(NULL);
  mnk_ended_write(1234, why, text);
  g_autoptr(MnkJson) json = parse(text);
  g_assert_true(mnk_ended_read(mnk_json_root(json), &end_ms, &failure, NULL));
  g_assert_cmpint(end_ms, ==, 1234);
  g_assert_error(failure, MNK_ERROR, MNK_ERROR_SOURCE);
  g_assert_cmpstr(failure->message, ==, why->message);
  g_clear_error(&failure);

  g_string_truncate(text, 0);
  mnk_ended_write(99, NULL, text);
  g_autoptr(MnkJson) good = parse(text);
  g_assert_true(mnk_ended_read(mnk_json_root(good), &end_ms, &failure, NULL));
  g_assert_no_error(failure);
}

/* ---- a stream that nobody listens to ---- */

static MnkCaption *caption_of(gint64 start_ms, const char *text) {
  MnkCaption *caption = mnk_caption_new();
  caption->stream = g_strdup("s");
  caption->start_ms = start_ms, caption->end_ms = start_ms + 1000;
  caption->backend = g_strdup("template");
  caption->lang = g_strdup("en");
  caption->text = g_strdup(text);
  return caption;
}

static void test_no_events(void) {
  g_autoptr(MnkSettings) settings = mnk_settings_new();
  g_autoptr(GError) error = NULL;
  MnkStreamConfig config = {.id = "s", .source = MNK_SOURCE_PUSH, .settings = settings};
  MnkStreamEvents events = {NULL};
  g_autoptr(MnkStream) stream = mnk_stream_new(&config, &events, NULL, &error);
  g_assert_no_error(error);
  mnk_captioner_show(stream->captioner, caption_of(0, "Prob"), FALSE);
  mnk_captioner_tell(stream->captioner, caption_of(0, "Probably a cat."), FALSE);
  mnk_stream_source_over(stream, 1000, NULL);
  while (stream->end_timer != 0)
    g_main_context_iteration(NULL, TRUE);
  MnkStreamCounters counters;
  mnk_stream_counters(stream, &counters);
  g_assert_cmpuint(counters.captions, ==, 1);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/stream/source/names", test_names);
  g_test_add_func("/stream/source/names refused", test_names_refused);
  g_test_add_func("/stream/source/ids", test_ids);
  g_test_add_func("/stream/messages/watch setup", test_watch_setup);
  g_test_add_func("/stream/messages/watch setup fps", test_watch_setup_fps);
  g_test_add_func("/stream/messages/watch setup refused", test_watch_setup_refused);
  g_test_add_func("/stream/messages/counters", test_counters);
  g_test_add_func("/stream/messages/ended", test_ended);
  g_test_add_func("/stream/no events", test_no_events);
  return g_test_run();
}
