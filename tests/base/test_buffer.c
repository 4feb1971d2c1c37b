#include "base/base.h"

#include <string.h>

static void assert_content(const MnkBuffer *buffer, const char *expected) {
  gsize length;
  const guint8 *bytes = mnk_buffer_bytes(buffer, &length);
  g_assert_cmpmem(bytes, length, expected, strlen(expected));
  g_assert_cmpuint(mnk_buffer_length(buffer), ==, strlen(expected));
}

static void test_append_and_consume(void) {
  g_autoptr(MnkBuffer) buffer = mnk_buffer_new(10);
  assert_content(buffer, "");
  g_assert_true(mnk_buffer_append(buffer, "abcdef", 6));
  mnk_buffer_consume(buffer, 4);
  assert_content(buffer, "ef");
  g_assert_true(mnk_buffer_append(buffer, "ghijklmn", 8));
  assert_content(buffer, "efghijklmn");
  mnk_buffer_consume(buffer, 10);
  assert_content(buffer, "");
  g_assert_true(mnk_buffer_append(buffer, NULL, 0));
  g_assert_true(mnk_buffer_append(buffer, "xy", 2));
  mnk_buffer_clear(buffer);
  assert_content(buffer, "");
  g_assert_cmpuint(mnk_buffer_max(buffer), ==, 10);
}

static void test_all_or_nothing(void) {
  g_autoptr(MnkBuffer) buffer = mnk_buffer_new(4);
  g_assert_true(mnk_buffer_append(buffer, "abc", 3));
  g_assert_false(mnk_buffer_append(buffer, "de", 2));
  assert_content(buffer, "abc");
  g_assert_false(mnk_buffer_append(buffer, "d", G_MAXSIZE));
  assert_content(buffer, "abc");
  g_assert_true(mnk_buffer_append(buffer, "d", 1));
  assert_content(buffer, "abcd");
}

#ifdef __SANITIZE_ADDRESS__
enum { RUNNING_UNDER_SANITIZER = TRUE };
#elif defined(__SANITIZE_THREAD__)
enum { RUNNING_UNDER_SANITIZER = TRUE };
#else
enum { RUNNING_UNDER_SANITIZER = FALSE };
#endif

static void test_no_memory(void) {
  if (RUNNING_UNDER_SANITIZER) {
    g_test_skip("the sanitizer's allocator ends the program instead of answering NULL");
    return;
  }
  g_autoptr(MnkBuffer) buffer = mnk_buffer_new(G_MAXSIZE);
  g_assert_true(mnk_buffer_append(buffer, "abc", 3));
  g_assert_false(mnk_buffer_append(buffer, "d", G_MAXSIZE - 3));
  assert_content(buffer, "abc");
}

/* A long random run against a GByteArray that does the same. */
static void test_model(void) {
  enum { MAX = 1000, STEPS = 20000 };
  g_autoptr(MnkBuffer) buffer = mnk_buffer_new(MAX);
  g_autoptr(GByteArray) model = g_byte_array_new();
  guint8 bytes[300];
  for (guint step = 0; step < STEPS; step++) {
    gsize length = (gsize)g_test_rand_int_range(0, sizeof bytes);
    if (g_test_rand_bit()) {
      memset(bytes, (int)step, length);
      gboolean fits = model->len + length <= MAX;
      g_assert_cmpint(mnk_buffer_append(buffer, bytes, length), ==, fits);
      if (fits)
        g_byte_array_append(model, bytes, (guint)length);
    } else {
      length = MIN(length, model->len);
      mnk_buffer_consume(buffer, length);
      g_byte_array_remove_range(model, 0, (guint)length);
    }
    gsize have;
    const guint8 *content = mnk_buffer_bytes(buffer, &have);
    g_assert_cmpmem(content, have, model->data, model->len);
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/buffer/append-and-consume", test_append_and_consume);
  g_test_add_func("/buffer/all-or-nothing", test_all_or_nothing);
  g_test_add_func("/buffer/no-memory", test_no_memory);
  g_test_add_func("/buffer/model", test_model);
  return g_test_run();
}
