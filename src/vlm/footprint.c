#include "vlm/footprint_priv.h"

#include <string.h>

/* Of quantised weights the processor's code keeps a second, rearranged copy beside the file's
 * pages: a 1.9 GB file took 3.2 GB. */
#define WEIGHTS_FACTOR 1.7
/* Sums of one batch in the tower: attention over some 1,000 to 4,000 patches. */
#define TOWER_BYTES (G_GUINT64_CONSTANT(256) << 20)
#define PROGRAM_BYTES (G_GUINT64_CONSTANT(64) << 20)

enum { BATCH = 512, ROWS = 64 };

static guint64 context_bytes(const MnkVlmFiles *files, guint context) {
  return files->kv_bytes * context;
}

/* Of one batch: the widest sums between layers, and the scores of all words for the rows that are
 * asked for. */
static guint64 batch_bytes(const MnkVlmFiles *files, guint64 vocabulary) {
  return (guint64)BATCH * files->dim * 16 * sizeof(float) + ROWS * vocabulary * sizeof(float);
}

guint64 mnk_vlm_memory_needed(const MnkVlmFiles *files, guint context, guint64 vocabulary) {
  guint64 needed = (guint64)((double)files->model_bytes * WEIGHTS_FACTOR) + PROGRAM_BYTES;
  needed += context_bytes(files, context) + batch_bytes(files, MIN(vocabulary, 1 << 24));
  if (files->projector_bytes > 0)
    needed += files->projector_bytes + TOWER_BYTES;
  return needed;
}

static gboolean number_in(const char *path, guint64 *out) {
  g_autofree char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) &&
         g_ascii_string_to_unsigned(g_strchomp(text), 10, 0, G_MAXUINT64, out, NULL);
}

/* The number behind a word at the beginning of a line. */
static gboolean number_of(const char *text, const char *word, guint64 *out) {
  for (const char *line = text; line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (g_str_has_prefix(line, word)) {
      *out = g_ascii_strtoull(line + strlen(word), NULL, 10);
      return TRUE;
    }
  }
  return FALSE;
}

guint64 mnk_vlm_memory_of_machine(const char *meminfo) {
  g_autofree char *text = NULL;
  guint64 kibibytes;
  if (!g_file_get_contents(meminfo, &text, NULL, NULL) ||
      !number_of(text, "MemAvailable:", &kibibytes))
    return G_MAXUINT64;
  return kibibytes * 1024;
}

guint64 mnk_vlm_memory_of_group(const char *maximum, const char *current, const char *stat) {
  guint64 limit, used, cached = 0, part;
  g_autofree char *text = NULL;
  if (!number_in(maximum, &limit) || !number_in(current, &used))
    return G_MAXUINT64; /* "max": none is set */
  /* pages of files are given back when they are needed */
  if (g_file_get_contents(stat, &text, NULL, NULL)) {
    cached += number_of(text, "inactive_file ", &part) ? part : 0;
    cached += number_of(text, "active_file ", &part) ? part : 0;
  }
  used -= MIN(cached, used);
  return limit - MIN(used, limit);
}

guint64 mnk_vlm_memory_available(void) {
  guint64 available = mnk_vlm_memory_of_machine("/proc/meminfo");
  guint64 group = mnk_vlm_memory_of_group(
      "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat");
  guint64 older = mnk_vlm_memory_of_group("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                          "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                                          "/sys/fs/cgroup/memory/memory.stat");
  return MIN(available, MIN(group, older));
}

static char *size_text(guint64 bytes) {
  return bytes < 1000000000 ? g_strdup_printf("%.0f MB", (double)bytes / 1e6)
                            : g_strdup_printf("%.1f GB", (double)bytes / 1e9);
}

gboolean mnk_vlm_memory_check(const MnkVlmFiles *files, guint context, GError **error) {
  guint64 available = mnk_vlm_memory_available();
  if (files->needed <= available)
    return TRUE;
  g_autofree char *needed = size_text(files->needed);
  g_autofree char *model = size_text(files->model_bytes + files->projector_bytes);
  g_autofree char *kv = size_text(context_bytes(files, context));
  g_autofree char *there = size_text(available);
  g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
              "the model needs about %s of memory (files of %s, and %s for a context of %u "
              "tokens), and %s are free",
              needed, model, kv, context, there);
  return FALSE;
}
