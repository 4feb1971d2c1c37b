#include "memory/bytes_priv.h"
#include "memory/token_memory_priv.h"

#include <math.h>

static const char MAGIC[] = "MNKTOKEN", WHAT[] = "the token memory's snapshot";
enum { VERSION = 1 };

static void put_centre(MnkBytesWriter *writer, const MnkCentre *centre) {
  mnk_bytes_put_u32(writer, centre->count);
  mnk_bytes_put_double(writer, centre->t_ms);
  mnk_bytes_put_double(writer, centre->row);
  mnk_bytes_put_double(writer, centre->column);
  mnk_bytes_put_i64(writer, centre->first_ms);
  mnk_bytes_put_i64(writer, centre->last_ms);
}

static void get_centre(MnkBytesReader *reader, MnkCentre *centre) {
  centre->count = mnk_bytes_get_u32(reader);
  centre->t_ms = mnk_bytes_get_double(reader);
  centre->row = mnk_bytes_get_double(reader);
  centre->column = mnk_bytes_get_double(reader);
  centre->first_ms = mnk_bytes_get_i64(reader);
  centre->last_ms = mnk_bytes_get_i64(reader);
  mnk_bytes_check(reader,
                  centre->first_ms <= centre->last_ms && centre->row >= 0 && centre->column >= 0);
}

void mnk_token_memory_save(const MnkTokenMemory *memory, GByteArray *out) {
  const MnkTokenMemoryConfig *config = &memory->config;
  MnkBytesWriter writer;
  mnk_bytes_begin(&writer, out, MAGIC, VERSION);
  mnk_bytes_put_u32(&writer, config->mode);
  mnk_bytes_put_u32(&writer, config->tokens);
  mnk_bytes_put_u32(&writer, config->dim);
  mnk_bytes_put_u32(&writer, config->iterations);
  mnk_bytes_put_u32(&writer, config->cap_counts);
  mnk_bytes_put_u32(&writer, (guint32)config->exact);
  mnk_bytes_put_u32(&writer, memory->count);
  mnk_bytes_put_u32(&writer, memory->oldest);
  mnk_bytes_put_u32(&writer, memory->labels->len);
  for (guint i = 0; i < memory->count; i++)
    put_centre(&writer, &memory->stats[i]);
  for (guint i = 0; i < memory->labels->len; i++)
    mnk_bytes_put_u32(&writer, g_array_index(memory->labels, guint32, i));
  mnk_bytes_put_floats(&writer, memory->centres, (gsize)memory->count * config->dim);
  mnk_bytes_end(&writer);
}

static void get_labels(MnkBytesReader *reader, MnkTokenMemory *memory, guint n) {
  if (!mnk_bytes_has(reader, n, sizeof(guint32)))
    return;
  g_array_set_size(memory->labels, n);
  for (guint i = 0; i < n; i++) {
    guint32 label = mnk_bytes_get_u32(reader);
    mnk_bytes_check(reader, label < memory->count || label == MNK_TOKEN_MEMORY_NO_CENTRE);
    g_array_index(memory->labels, guint32, i) = label;
  }
}

static MnkTokenMemory *read_memory(MnkBytesReader *reader, GError **error) {
  MnkTokenMemoryConfig config = {
      .mode = (MnkTokenMemoryMode)mnk_bytes_get_u32(reader),
      .tokens = mnk_bytes_get_u32(reader),
      .dim = mnk_bytes_get_u32(reader),
      .iterations = mnk_bytes_get_u32(reader),
      .cap_counts = mnk_bytes_get_u32(reader),
  };
  guint32 exact = mnk_bytes_get_u32(reader);
  config.exact = exact != 0;
  guint32 count = mnk_bytes_get_u32(reader), oldest = mnk_bytes_get_u32(reader);
  guint32 n_labels = mnk_bytes_get_u32(reader);
  g_autoptr(MnkTokenMemory) memory = mnk_token_memory_new(&config, error);
  if (memory == NULL)
    return NULL;
  mnk_bytes_check(reader, exact <= 1 && count <= config.tokens && oldest < config.tokens &&
                              (count == config.tokens || oldest <= count));
  if (mnk_bytes_has(reader, count, config.dim * sizeof(float))) {
    memory->count = count;
    memory->oldest = oldest;
    for (guint i = 0; i < count; i++)
      get_centre(reader, &memory->stats[i]);
    get_labels(reader, memory, n_labels);
    mnk_bytes_get_floats(reader, memory->centres, (gsize)count * config.dim);
  }
  return mnk_bytes_close(reader, error) ? g_steal_pointer(&memory) : NULL;
}

MnkTokenMemory *mnk_token_memory_restore(const guint8 *bytes, gsize length, GError **error) {
  MnkBytesReader reader;
  if (!mnk_bytes_open(&reader, bytes, length, MAGIC, VERSION, WHAT, error))
    return NULL;
  g_autoptr(GError) refused = NULL;
  MnkTokenMemory *memory = read_memory(&reader, &refused);
  if (memory == NULL) { /* whatever did not fit: the bytes are at fault */
    g_set_error(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "%s is damaged: %s", WHAT, refused->message);
    return NULL;
  }
  mnk_token_memory_measure(memory, 0, memory->count);
  return memory;
}
