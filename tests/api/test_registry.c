/* What streams are made from, and how it is kept: sources, paths, parameters, ids; fusion of lists
 * of hits. Streams that run are tested with the whole server (tests/integration). */
#include "api/streams_priv.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- sources ---- */

typedef struct {
  MnkApi api;
  char *root;
} Bench;

static void bench_init(Bench *bench) {
  *bench = (Bench){0};
  bench->root = g_dir_make_tmp("manako-root-XXXXXX", NULL);
  bench->api.settings = mnk_settings_new();
  g_assert_true(mnk_settings_set(bench->api.settings, MNK_OPT_FILES_ROOT, bench->root, NULL));
}

static void remove_below(const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
      remove_below(path);
    else
      g_unlink(path);
  }
  g_rmdir(folder);
}

static void bench_clear(Bench *bench) {
  remove_below(bench->root);
  mnk_settings_free(bench->api.settings);
  g_free(bench->root);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bench, bench_clear)

static char *at(const Bench *bench, const char *name) {
  return g_build_filename(bench->root, name, NULL);
}

static void put_file(const Bench *bench, const char *name) {
  g_autofree char *path = at(bench, name);
  g_autofree char *folder = g_path_get_dirname(path);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
  g_assert_true(g_file_set_contents(path, "x", 1, NULL));
}

static void put_link(const Bench *bench, const char *name, const char *target) {
  g_autofree char *path = at(bench, name);
  g_assert_cmpint(symlink(target, path), ==, 0);
}

static void test_kinds(void) {
  static const struct {
    const char *source;
    MnkSpecKind kind;
  } CASES[] = {
      {"push", MNK_SPEC_PUSH},
      {"pushed.mp4", MNK_SPEC_FILE},
      {"upload:a.mp4", MNK_SPEC_UPLOAD},
      {"camera", MNK_SPEC_CAMERA},
      {"camera:2", MNK_SPEC_CAMERA},
      {"/dev/video3", MNK_SPEC_CAMERA},
      {"/dev/sda", MNK_SPEC_FILE},
      {"rtsp://a/b", MNK_SPEC_RTSP},
      {"RTSPS://a/b", MNK_SPEC_RTSP},
      {"https://a/b", MNK_SPEC_HTTP},
      {"a/b://c", MNK_SPEC_FILE},
      {"concat:a|b", MNK_SPEC_FILE},
      {"-", MNK_SPEC_FILE},
  };
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++)
    g_assert_cmpint(mnk_spec_kind(CASES[i].source), ==, CASES[i].kind);
}

static void test_paths(void) {
  g_auto(Bench) bench;
  bench_init(&bench);
  put_file(&bench, "a.mp4");
  put_file(&bench, "sub/b.mp4");
  put_link(&bench, "in.mp4", "sub/b.mp4");
  put_link(&bench, "sub/up.mp4", "../a.mp4");
  put_link(&bench, "out.mp4", "/etc/passwd");
  put_link(&bench, "updir", "..");
  put_link(&bench, "self", ".");
  put_link(&bench, "loop", "loop");
  g_autofree char *fifo = at(&bench, "fifo");
  g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
  static const struct {
    const char *source, *real;
  } CASES[] = {
      {"a.mp4", "a.mp4"},
      {"./a.mp4", "a.mp4"},
      {"sub/b.mp4", "sub/b.mp4"},
      {"sub/../a.mp4", "a.mp4"},
      {"in.mp4", "sub/b.mp4"},
      {"sub/up.mp4", "a.mp4"},
      {"self/self/a.mp4", "a.mp4"},
      {"", NULL},
      {".", NULL},
      {"..", NULL},
      {"sub", NULL},
      {"none.mp4", NULL},
      {"fifo", NULL},
      {"out.mp4", NULL},
      {"loop", NULL},
      {"../a.mp4", NULL},
      {"updir/a.mp4", NULL},
      {"sub/../../a.mp4", NULL},
      {"/etc/passwd", NULL},
      {"/proc/self/exe", NULL},
  };
  g_autofree char *root = realpath(bench.root, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *path = mnk_path_below(bench.root, CASES[i].source, &error);
    g_autofree char *wanted =
        CASES[i].real != NULL ? g_build_filename(root, CASES[i].real, NULL) : NULL;
    g_assert_cmpstr(path, ==, wanted);
    g_assert_true((path == NULL) == (error != NULL));
    g_assert_true(error == NULL || g_str_has_prefix(error->message, "source "));
  }
  g_autofree char *absolute = at(&bench, "sub/b.mp4");
  g_autofree char *sibling = g_strconcat(bench.root, "-other/b.mp4", NULL);
  g_autofree char *found = mnk_path_below(bench.root, absolute, NULL);
  g_assert_nonnull(found);
  g_assert_null(mnk_path_below(bench.root, sibling, NULL));
}

static void test_resolve(void) {
  g_auto(Bench) bench;
  g_auto(MnkSpec) spec = {0};
  g_autoptr(GError) error = NULL;
  bench_init(&bench);
  put_file(&bench, "a.mp4");
  g_assert_true(mnk_spec_resolve(&bench.api, "a.mp4", FALSE, &spec, &error));
  g_assert_cmpstr(spec.shown, ==, "a.mp4");
  g_assert_true(g_path_is_absolute(spec.open));
  mnk_spec_clear(&spec);
  g_autofree char *path = at(&bench, "a.mp4");
  g_assert_true(mnk_spec_resolve(&bench.api, path, TRUE, &spec, &error));
  g_assert_cmpstr(spec.shown, ==, "a.mp4");
  g_assert_cmpstr(spec.open, ==, path);
  mnk_spec_clear(&spec);
  g_assert_true(
      mnk_spec_resolve(&bench.api, "rtsp://me:word@cam/live?key=1", FALSE, &spec, &error));
  g_assert_null(strstr(spec.shown, "word"));
  g_assert_null(strstr(spec.shown, "key=1"));
  g_assert_nonnull(strstr(spec.open, "me:word"));
  mnk_spec_clear(&spec);
  g_assert_false(mnk_spec_resolve(&bench.api, "gopher://a/b", FALSE, &spec, &error));
  g_assert_cmpstr(error->message, ==,
                  "source gopher:// cannot be read; rtsp, rtsps, http and https can");
  g_clear_error(&error);
  g_assert_false(mnk_spec_resolve(&bench.api, "", FALSE, &spec, &error));
  g_clear_error(&error);
  mnk_settings_free(bench.api.settings);
  bench.api.settings = mnk_settings_new();
  g_assert_false(mnk_spec_resolve(&bench.api, "a.mp4", FALSE, &spec, &error));
  g_assert_error(error, MNK_STATUS_ERROR, 403);
}

/* ---- kept ---- */

static MnkSettings *with(const MnkSettings *base, const char *params) {
  g_autoptr(GError) error = NULL;
  g_autoptr(MnkJson) json = mnk_json_parse(params, strlen(params), NULL, &error);
  MnkSettings *settings = mnk_settings_copy(base);
  g_assert_true(mnk_params_apply(settings, mnk_json_root(json), FALSE, &error));
  return settings;
}

static void check_own(const char *params, const char *own) {
  g_autoptr(MnkSettings) base = mnk_settings_new();
  g_assert_true(mnk_settings_set(base, MNK_OPT_CAPTION_MAX, "20", NULL));
  g_autoptr(MnkSettings) settings = with(base, params);
  g_autoptr(GString) out = g_string_new(NULL);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, out);
  mnk_own_params(settings, base, &w, NULL);
  g_assert_cmpstr(out->str, ==, own);
}

/* A parameter that was set to its default was set all the same; the server's own do not count. */
static void test_own_params(void) {
  check_own("{}", "{}");
  check_own("{\"fps\":1}", "{\"fps\":1}");
  check_own("{\"fps\":2.5,\"loop\":true,\"lang\":\"ja\"}",
            "{\"fps\":2.5,\"loop\":true,\"lang\":\"ja\"}");
  check_own("{\"caption_max\":20}", "{}");
  check_own("{\"caption_max\":\"12s\"}", "{\"caption_max\":12}");
  check_own("{\"prompt\":\"Tell \\\"all\\\" of it\"}", "{\"prompt\":\"Tell \\\"all\\\" of it\"}");
}

static void test_spec(void) {
  g_auto(Bench) bench;
  g_auto(MnkSpec) spec = {0}, again = {0};
  g_autoptr(GError) error = NULL;
  bench_init(&bench);
  g_autoptr(MnkSettings) base = mnk_settings_new();
  g_autoptr(MnkSettings) settings = with(base, "{\"fps\":3,\"caption_min\":1.5,\"prompt\":\"x\"}");
  g_autoptr(MnkSettings) read = mnk_settings_copy(base);
  g_assert_true(mnk_spec_resolve(&bench.api, "rtsp://me:word@cam/a?b=c", FALSE, &spec, &error));
  spec.owner = g_strdup("key \"one\"");
  spec.time_zero = 1790000000.123456;
  g_autoptr(GString) json = g_string_new(NULL);
  mnk_spec_write(&spec, settings, base, NULL, json);
  g_assert_true(mnk_spec_read(&bench.api, json->str, read, &again, &error));
  g_assert_no_error(error);
  g_assert_cmpstr(again.open, ==, spec.open);
  g_assert_cmpstr(again.owner, ==, spec.owner);
  g_assert_cmpfloat(again.time_zero, ==, spec.time_zero);
  g_assert_false(again.trusted);
  g_assert_cmpfloat(mnk_settings_double(read, MNK_OPT_FPS), ==, 3);
  g_assert_cmpint(mnk_settings_int(read, MNK_OPT_CAPTION_MIN), ==, 1500);
  g_autofree char *owner = mnk_spec_owner(json->str);
  g_assert_cmpstr(owner, ==, "key \"one\"");
}

/* What the store holds may come from anywhere. */
static void test_bad_specs(void) {
  static const char *const CASES[] = {
      "",
      "{}",
      "[]",
      "null",
      "{\"source\":7}",
      "{\"source\":\"../x\"}",
      "{\"source\":\"push\",\"params\":[]}",
      "{\"source\":\"push\",\"params\":{\"fps\":\"x\"}}",
      "{\"source\":\"push\",\"params\":{\"port\":1}}",
      "{\"source\":\"push\",\"key\":7}",
      "{\"source\":\"push\",\"trusted\":1}",
      "{\"source\":\"push\",\"time_zero\":-1}",
  };
  g_auto(Bench) bench;
  bench_init(&bench);
  for (guint i = 0; i < G_N_ELEMENTS(CASES); i++) {
    g_auto(MnkSpec) spec = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(MnkSettings) settings = mnk_settings_new();
    g_assert_false(mnk_spec_read(&bench.api, CASES[i], settings, &spec, &error));
    g_assert_nonnull(error);
  }
  g_assert_null(mnk_spec_owner(""));
  g_assert_null(mnk_spec_owner("{\"key\":7}"));
}

static void test_random_ids(void) {
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < 1000; i++) {
    char *id = mnk_random_id("push");
    g_assert_true(g_regex_match_simple("^push-[a-z0-9]{8}$", id, 0, 0));
    g_assert_true(g_hash_table_add(seen, id));
  }
  g_autofree char *stem = g_strnfill(100, 'a');
  g_autofree char *id = mnk_random_id(stem);
  g_assert_true(mnk_stream_id_is_valid(id));
}

/* ---- what is shown ---- */

static void test_row(void) {
  MnkStreamRow row = {.id = (char *)"old",
                      .source = (char *)"rtsp://cam/a?b=***",
                      .spec = (char *)"{\"source\":\"rtsp://me:word@cam/a?b=c\",\"key\":\"k\"}",
                      .created_us = 17,
                      .captions = 5,
                      .end_ms = 9000,
                      .last_seq = 8};
  g_autoptr(GString) out = g_string_new(NULL);
  mnk_row_write(&row, out);
  g_autoptr(MnkJson) json = mnk_json_parse(out->str, out->len, NULL, NULL);
  const MnkJsonValue *root = mnk_json_root(json), *source = mnk_json_get(root, "source");
  g_assert_cmpstr(mnk_json_string(mnk_json_get(root, "state"), NULL), ==, "ended");
  g_assert_cmpstr(mnk_json_string(mnk_json_get(source, "kind"), NULL), ==, "rtsp");
  g_assert_cmpstr(mnk_json_string(mnk_json_get(source, "address"), NULL), ==, row.source);
  g_assert_cmpint(mnk_json_int(mnk_json_get(root, "clock_ms"), 0), ==, 9000);
  g_assert_null(strstr(out->str, "word"));
}

static void test_seen(void) {
  MnkObservation obs = {.type = MNK_OBS_FRAME, .pts_ms = 1500, .n_objects = 1, .n_texts = 1};
  g_strlcpy(obs.objects[0].name, "person", sizeof obs.objects[0].name);
  obs.objects[0].score = 0.75f;
  obs.objects[0].box = (MnkBox){0.25f, 0.5f, 0.125f, 0.25f};
  g_strlcpy(obs.texts[0].text, "</script>\"\xe2\x80\xae", sizeof obs.texts[0].text);
  GString *out = mnk_seen_write(&obs);
  g_assert_null(strstr(out->str, "</script>"));
  g_autoptr(MnkJson) json = mnk_json_parse(out->str, out->len, NULL, NULL);
  const MnkJsonValue *root = mnk_json_root(json);
  const MnkJsonValue *object = mnk_json_at(mnk_json_get(root, "objects"), 0);
  g_assert_cmpint(mnk_json_int(mnk_json_get(root, "pts_ms"), 0), ==, 1500);
  g_assert_cmpstr(mnk_json_string(mnk_json_get(object, "name"), NULL), ==, "person");
  g_assert_cmpfloat(mnk_json_double(mnk_json_get(mnk_json_get(object, "box"), "w"), 0), ==, 0.125);
  g_assert_cmpuint(mnk_json_size(mnk_json_get(root, "faces")), ==, 0);
  const MnkJsonValue *text = mnk_json_at(mnk_json_get(root, "texts"), 0);
  g_assert_cmpstr(mnk_json_string(mnk_json_get(text, "text"), NULL), ==, obs.texts[0].text);
  g_string_free(out, TRUE);
}

/* ---- search ---- */

static GPtrArray *hits(const char *ids) {
  GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)mnk_search_hit_free);
  for (; *ids != '\0'; ids++) {
    MnkSearchHit *hit = g_new0(MnkSearchHit, 1);
    hit->caption = mnk_caption_new();
    hit->caption->stream = g_strdup("s");
    hit->caption->id = g_strndup(ids, 1);
    g_ptr_array_add(list, hit);
  }
  return list;
}

static void check_fusion(const char *by_words, const char *by_meaning, guint limit,
                         const char *wanted) {
  g_autoptr(GPtrArray) meaning = hits(by_meaning);
  g_autoptr(GPtrArray) fused = mnk_search_fuse(hits(by_words), meaning, limit);
  g_autoptr(GString) ids = g_string_new(NULL);
  for (guint i = 0; i < fused->len; i++)
    g_string_append(ids, ((MnkSearchHit *)g_ptr_array_index(fused, i))->caption->id);
  g_assert_cmpstr(ids->str, ==, wanted);
}

static void test_fusion(void) {
  check_fusion("", "", 5, "");
  check_fusion("abc", "", 5, "abc");
  check_fusion("", "abc", 2, "ab");
  check_fusion("abc", "abc", 5, "abc");
  /* what both lists have comes first, whatever its place in either */
  check_fusion("abcd", "dxyz", 4, "dabx");
  check_fusion("abcx", "pqrx", 1, "x");
  g_autoptr(GPtrArray) meaning = hits("a");
  g_autoptr(GPtrArray) fused = mnk_search_fuse(hits("a"), meaning, 5);
  g_assert_cmpfloat_with_epsilon(((MnkSearchHit *)fused->pdata[0])->score, 2.0 / 61, 1e-12);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/registry/kinds", test_kinds);
  g_test_add_func("/registry/paths", test_paths);
  g_test_add_func("/registry/resolve", test_resolve);
  g_test_add_func("/registry/own-params", test_own_params);
  g_test_add_func("/registry/spec", test_spec);
  g_test_add_func("/registry/bad-specs", test_bad_specs);
  g_test_add_func("/registry/random-ids", test_random_ids);
  g_test_add_func("/registry/row", test_row);
  g_test_add_func("/registry/seen", test_seen);
  g_test_add_func("/registry/fusion", test_fusion);
  return g_test_run();
}
