#include <string.h>

#include "base/base.h"
#include "models/models_priv.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* One entry as JSON; each case below replaces a part of it. */
#define ENTRY                                                                                      \
  "{\"name\":\"cats\",\"file\":\"cats.onnx\",\"purpose\":\"cats\",\"licence\":\"MIT\","            \
  "\"size\":7,\"sha256\":\"" SHA "\",\"sources\":[{\"registry\":\"PyPI\",\"package\":\"cats\","    \
  "\"version\":\"1.0\",\"members\":[{\"path\":\"a/cats.bin\"}]}],"                                 \
  "\"conversion\":{\"tool\":\"convert.py\",\"version\":\"1\"}}"

static GPtrArray *parse(const char *models, GError **error) {
  g_autofree char *text = g_strdup_printf("{\"format\":1,\"models\":[%s]}", models);
  return mnk_manifest_parse(text, strlen(text), error);
}

static void test_entry(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) entries = parse(ENTRY, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(entries->len, ==, 1);
  const MnkModelEntry *entry = entries->pdata[0];
  g_assert_cmpstr(entry->name, ==, "cats");
  g_assert_cmpstr(entry->file, ==, "cats.onnx");
  g_assert_cmpstr(entry->purpose, ==, "cats");
  g_assert_cmpstr(entry->licence, ==, "MIT");
  g_assert_cmpstr(entry->package, ==, "PyPI cats 1.0");
  g_assert_cmpstr(entry->sha256, ==, SHA);
  g_assert_cmpuint(entry->size, ==, 7);
}

static char *replaced(const char *part, const char *by) {
  g_auto(GStrv) parts = g_strsplit(ENTRY, part, 2);
  g_assert_nonnull(parts[1]);
  return g_strjoinv(by, parts);
}

static void test_refused(void) {
  static const struct {
    const char *part, *by, *names; /* names: what the message must contain */
  } cases[] = {
      {"\"name\":\"cats\",", "", "\"name\""},
      {"\"name\":\"cats\"", "\"name\":\"Cats!\"", "\"name\""},
      {"\"name\":\"cats\"", "\"name\":7", "\"name\""},
      {"\"file\":\"cats.onnx\",", "", "\"file\""},
      {"cats.onnx", "../cats.onnx", "\"file\""},
      {"cats.onnx", ".cats", "\"file\""},
      {"\"purpose\":\"cats\"", "\"purpose\":\"\"", "\"purpose\""},
      {"\"licence\":\"MIT\",", "", "\"licence\""},
      {"\"size\":7,", "", "\"size\""},
      {"\"size\":7", "\"size\":0", "\"size\""},
      {"\"size\":7", "\"size\":-1", "\"size\""},
      {SHA, "0123", "\"sha256\""},
      {"\"sha256\":\"0", "\"sha256\":\"X", "\"sha256\""},
      {"\"registry\":\"PyPI\",", "", "\"registry\""},
      {"\"package\":\"cats\",", "", "\"package\""},
      {"\"version\":\"1.0\",", "", "\"version\""},
      {"{\"path\":\"a/cats.bin\"}", "", "\"members\""},
      {"\"path\":\"a/cats.bin\"", "\"path\":\"\"", "\"path\""},
      {"\"tool\":\"convert.py\",", "", "\"tool\""},
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *entry = replaced(cases[i].part, cases[i].by);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = parse(entry, &error);
    g_test_message("%s", error != NULL ? error->message : entry);
    g_assert_null(entries);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_assert_nonnull(strstr(error->message, cases[i].names));
    g_assert_true(g_str_has_prefix(error->message, "model 1 of the manifest: "));
  }
}

static void test_duplicates(void) {
  static const char *const parts[] = {"\"name\":\"cats\"", "cats.onnx"};
  static const char *const others[] = {"\"name\":\"dogs\"", "dogs.onnx"};
  for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autofree char *other = replaced(parts[i], others[i]);
    g_autofree char *both = g_strconcat(ENTRY, ",", other, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = parse(both, &error);
    g_assert_null(entries);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
    g_assert_true(g_str_has_prefix(error->message, "model 2 of the manifest: "));
  }
}

static void test_broken_document(void) {
  static const char *const texts[] = {
      "",
      "{",
      "[]",
      "{\"format\":1}",
      "{\"models\":[]}",
      "{\"format\":2,\"models\":[]}",
      "{\"format\":1,\"models\":{}}",
      "{\"format\":1,\"models\":[7]}",
      "{\"format\":1,\"models\":[" ENTRY "]",
  };
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = mnk_manifest_parse(texts[i], strlen(texts[i]), &error);
    g_test_message("%s", error != NULL ? error->message : texts[i]);
    g_assert_null(entries);
    g_assert_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT);
  }
}

/* The manifest in the program: every model that the program asks for, and no other. */
static void test_compiled_in(void) {
  static const char *const names[] = {
      "scenes",         "objects",     "faces",          "face-landmarks", "pose-detect",
      "pose-landmarks", "text-detect", "text-recognise", "voice-activity",
  };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    const MnkModelEntry *entry = mnk_models_find(names[i]);
    g_assert_nonnull(entry);
    g_assert_cmpstr(entry->name, ==, names[i]);
    g_assert_true(mnk_models_at(i) == entry);
    g_assert_cmpuint(entry->size, >, 100000);
    g_assert_cmpuint(strlen(entry->sha256), ==, 64);
    g_assert_nonnull(strchr(entry->package, ' '));
    g_assert_cmpstr(entry->licence, !=, "");
  }
  g_assert_null(mnk_models_at(G_N_ELEMENTS(names)));
  g_assert_null(mnk_models_at(G_MAXUINT));
  g_assert_null(mnk_models_find("cats"));
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/models/manifest/entry", test_entry);
  g_test_add_func("/models/manifest/refused", test_refused);
  g_test_add_func("/models/manifest/duplicates", test_duplicates);
  g_test_add_func("/models/manifest/broken-document", test_broken_document);
  g_test_add_func("/models/manifest/compiled-in", test_compiled_in);
  return g_test_run();
}
