/* A body in chunks is the same body however its bytes come in, and what the writer of chunks makes
 * of it reads again as it was. */
#include "fuzz.h"

#include <string.h>

#include "net/http_head_priv.h"

static MnkChunksResult decode(const guint8 *bytes, gsize length, gsize piece, GByteArray *body,
                              gsize *used) {
  MnkHttpChunks chunks = {0};
  MnkChunksResult result = MNK_CHUNKS_MORE;
  *used = 0;
  while (*used < length && result != MNK_CHUNKS_END && result != MNK_CHUNKS_BAD) {
    gsize taken = 0, data_length = 0;
    const guint8 *data = NULL;
    result = mnk_http_chunks_next(&chunks, bytes + *used, MIN(piece, length - *used), &taken, &data,
                                  &data_length);
    g_assert_cmpuint(taken, >, 0);
    *used += taken;
    g_assert_cmpuint(*used, <=, length);
    if (result == MNK_CHUNKS_DATA) {
      g_assert_true(data >= bytes && data + data_length == bytes + *used);
      g_byte_array_append(body, data, (guint)data_length);
    }
  }
  return result;
}

static void check_written_again(const GByteArray *body) {
  g_autofree char *size = g_strdup_printf("%x\r\n", body->len);
  g_autoptr(GByteArray) text = g_byte_array_new();
  if (body->len) {
    g_byte_array_append(text, (const guint8 *)size, (guint)strlen(size));
    g_byte_array_append(text, body->data, body->len);
    g_byte_array_append(text, (const guint8 *)"\r\n", 2);
  }
  g_byte_array_append(text, (const guint8 *)"0\r\n\r\n", 5);
  g_autoptr(GByteArray) again = g_byte_array_new();
  gsize used;
  g_assert_cmpint(decode(text->data, text->len, 7, again, &used), ==, MNK_CHUNKS_END);
  g_assert_cmpuint(used, ==, text->len);
  g_assert_cmpmem(again->data, again->len, body->data, body->len);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size) {
  g_autoptr(GByteArray) whole = g_byte_array_new();
  g_autoptr(GByteArray) bytewise = g_byte_array_new();
  gsize used, used_bytewise;
  MnkChunksResult result = decode(data, size, size, whole, &used);
  MnkChunksResult result_bytewise = decode(data, size, 1, bytewise, &used_bytewise);
  g_assert_true(result == result_bytewise ||
                (result != MNK_CHUNKS_END && result != MNK_CHUNKS_BAD));
  g_assert_cmpuint(used, ==, used_bytewise);
  g_assert_cmpmem(whole->data, whole->len, bytewise->data, bytewise->len);
  if (result == MNK_CHUNKS_END)
    check_written_again(whole);
  return 0;
}
